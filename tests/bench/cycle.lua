-- GETs of <path>-0, <path>-1, ... <path>-(count - 1), and over again; arguments: path, count
dofile(debug.getinfo(1, 'S').source:sub(2):match('(.*/)') .. 'report.lua')

local path, count, number = nil, 1, 0

function init(arguments)
  path, count = arguments[1], tonumber(arguments[2])
end

function request()
  number = number + 1
  return wrk.format('GET', path .. '-' .. number % count)
end
