-- wrk: POST a body of BODY_BYTES with TOKEN; with VARIED each under an id of its own.
wrk.method = "POST"
wrk.body = string.rep("a", tonumber(os.getenv("BODY_BYTES") or "256"))
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end
if os.getenv("VARIED") then
  local number = 0
  request = function()
    number = number + 1
    wrk.headers["X-Request-ID"] = "call-" .. number
    return wrk.format()
  end
end
