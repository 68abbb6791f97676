-- wrk: POST a body of BODY_BYTES with TOKEN; HOW: one of the names below.
local body = string.rep("a", tonumber(os.getenv("BODY_BYTES") or "256"))
local how = os.getenv("HOW")
wrk.method = "POST"
wrk.body = body
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end
local differs = {
  ["every id another"] = "X-Request-ID",
  ["every address another"] = "X-Forwarded-For",
  ["every head read anew"] = "Forwarded",
}
if differs[how] then
  local number = 0
  local header = differs[how]
  request = function()
    number = number + 1
    wrk.headers[header] = "for=call-" .. number
    return wrk.format()
  end
elseif how == "in chunks" then
  local whole
  request = function()
    if not whole then
      wrk.body = nil
      wrk.headers["Transfer-Encoding"] = "chunked"
      local head = wrk.format():gsub("[Cc]ontent%-[Ll]ength: %d+\r\n", "")
      whole = head .. string.format("%x\r\n", #body) .. body .. "\r\n0\r\n\r\n"
    end
    return whole
  end
end
