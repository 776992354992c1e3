-- GETs of hot and cold objects: <path>/hot-0 ... again and again, <path>/cold-0, cold-1 ... each once, until
-- there are no more; counts the hits. Arguments: path, hot objects, cold objects, percent of GETs that are hot
dofile(debug.getinfo(1, 'S').source:sub(2):match('(.*/)') .. 'report.lua')

local threads = {}
local path, hot, cold, percent = nil, 1, 1, 0
local number, taken = 0, 0
hits = 0

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  path, hot, cold, percent = arguments[1], tonumber(arguments[2]), tonumber(arguments[3]), tonumber(arguments[4])
end

function request()
  number = number + 1
  -- spread evenly, not the hot ones first
  if math.floor(number * percent / 100) > math.floor((number - 1) * percent / 100) then
    return wrk.format('GET', path .. '/hot-' .. number % hot)
  end
  taken = taken + 1
  return wrk.format('GET', path .. '/cold-' .. (taken - 1) % cold)
end

function response(status, headers)
  local told = headers['Cache-Status']
  if told and told:sub(1, 15) == 'swiftahead; hit' then
    hits = hits + 1
  end
end

local report = done

function done(summary, latency, requests)
  local found = 0
  for _, thread in ipairs(threads) do
    found = found + thread:get('hits')
  end
  io.write(string.format('\nhits %d\n', found))
  report(summary, latency, requests)
end
