-- The load, as wrk runs it: requests for random users, and the result as one line of JSON.
-- Arguments: the method (GET or PUT), the number of users, a seed for their order, the path before a name.

local method, users, digits, path

function init(arguments)
  method, users = arguments[1], tonumber(arguments[2])
  digits = math.max(6, #tostring(users - 1))
  math.randomseed(tonumber(arguments[3]))
  path = arguments[4]
end

-- As in users.ts: the number's digits, six or more, written with the letters a to j.
local function username(number)
  local letters = {}
  for place = digits, 1, -1 do
    letters[place] = string.char(97 + number % 10)
    number = math.floor(number / 10)
  end
  return "user" .. table.concat(letters)
end

function request()
  local head = method .. " " .. path .. username(math.random(0, users - 1)) .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
  if method == "GET" then return head .. "\r\n" end
  -- A different date each time, because MySQL writes nothing if a row does not change.
  local date = string.format("%d-%02d-%02d", math.random(1950, 2009), math.random(1, 12), math.random(1, 28))
  return head .. "Content-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"dateOfBirth\":\"" .. date .. "\"}"
end

function done(summary, latency)
  local errors = summary.errors
  -- Times are in microseconds; wrk counts an answer of 400 and above as a request and as an error of status.
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
