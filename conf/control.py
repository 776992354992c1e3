"""The words of a control request, POST /v1/ACCOUNT/CONTAINER?prefetch=..., which command and filter share."""
PARAMETER = 'prefetch'
# what each takes besides
TAKES = {'warm': ('prefix', 'limit'), 'forget': ('prefix', 'name')}
LARGEST_LIMIT = 10**9
# in each answer of the filter to who may write to the container: Swift itself sends no such header
NODE_HEADER = 'X-Prefetch-Node'
# sent along: Swift refuses a POST to an object that is to be deleted in the past, and a container takes no notice
GUARD = {'X-Delete-At': '1'}
