-- Posts the photos of the folder in PHOTOS as the multipart field `file`, one after another, to /predict.
-- Prints one line of JSON with the counts and the latencies in microseconds.

local requests, at = {}, 0
local boundary = "----------------photo"

local function content(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

function init(args)
  for name in io.popen('ls "' .. os.getenv("PHOTOS") .. '"'):lines() do
    local body = "--" .. boundary .. "\r\n"
      .. 'Content-Disposition: form-data; name="file"; filename="' .. name .. '"\r\n'
      .. "Content-Type: application/octet-stream\r\n\r\n"
      .. content(os.getenv("PHOTOS") .. "/" .. name) .. "\r\n--" .. boundary .. "--\r\n"
    local headers = { ["Content-Type"] = "multipart/form-data; boundary=" .. boundary }
    requests[#requests + 1] = wrk.format("POST", "/predict", headers, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  print(string.format(
    '{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d, "longest": %d}',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
