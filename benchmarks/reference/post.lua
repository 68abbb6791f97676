-- wrk: POST a body of BODY_BYTES with TOKEN.
wrk.method = "POST"
wrk.body = string.rep("a", tonumber(os.getenv("BODY_BYTES") or "256"))
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end
