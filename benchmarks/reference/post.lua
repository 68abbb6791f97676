-- wrk: POST a body of BODY_BYTES with TOKEN; HOW: "every id another", "every address another", or "in chunks".
local body = string.rep("a", tonumber(os.getenv("BODY_BYTES") or "256"))
local how = os.getenv("HOW")
wrk.method = "POST"
wrk.body = body
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end
if how == "every id another" or how == "every address another" then
  local number = 0
  local header = how == "every id another" and "X-Request-ID" or "X-Forwarded-For"
  request = function()
    number = number + 1
    wrk.headers[header] = "call-" .. number
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
