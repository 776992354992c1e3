"""Words of a control request, POST /v1/ACCOUNT/CONTAINER?prefetch=..., that command and filter share."""
PARAMETER = 'prefetch'
# the other parameters of each action
TAKES = {'warm': ('prefix', 'limit'), 'forget': ('prefix', 'name')}
LARGEST_LIMIT = 10**9
# header of the filter's answers to a client that may write to the container; Swift itself sends none
NODE_HEADER = 'X-Prefetch-Node'
# sent with each request: Swift refuses a POST that deletes an object in the past, and a container ignores it
GUARD = {'X-Delete-At': '1'}
