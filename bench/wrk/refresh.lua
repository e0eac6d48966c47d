-- Refreshes sessions, each with the cookie that its last answer set.
--
--   wrk -t 16 -c 16 -d 30s --latency -s bench/wrk/refresh.lua http://127.0.0.1:8080
--
-- SESSIONS is what the files that `bench wrk` writes are called, one for each thread. There must be as many
-- threads as connections: wrk does not tell which connection an answer came
-- from, so a thread must have one answer to wait for at a time.

local count = 0
local threads = {}

function setup(thread)
  thread:set("id", count)
  table.insert(threads, thread)
  count = count + 1
end

-- The first threads work while the last are yet to start, so this must not take long.
function init(args)
  sessions, at, failed = {}, 0, 0
  for line in io.lines((os.getenv("SESSIONS") or "sessions") .. "." .. id) do
    local cookie, csrf = string.match(line, "^(%S+) (%S+)$")
    table.insert(sessions, { cookie, csrf })
  end
end

function request()
  at = at % #sessions + 1
  local headers = { ["Content-Type"] = "application/json", ["Cookie"] = "refresh_cookie=" .. sessions[at][1] }
  return wrk.format("POST", "/auth/refresh/", headers, '{"CSRF_token":"' .. sessions[at][2] .. '"}')
end

function response(status, headers, body)
  local value = string.match(headers["Set-Cookie"] or "", "^refresh_cookie=([^;]*)")
  if status == 200 and value then
    sessions[at][1] = value
  else
    failed = failed + 1
  end
end

function done(summary, latency, requests)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("failed")
  end
  print("refused: " .. failed)
end
