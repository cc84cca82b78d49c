-- The same with a POST of as many bytes as the first argument says.
local here = debug.getinfo(1, "S").source:match("@(.*)post%.lua$")
dofile(here .. "report.lua")

function init(arguments)
  wrk.method = "POST"
  wrk.body = string.rep("x", tonumber(arguments[1]))
  wrk.headers["Content-Type"] = "application/octet-stream"
end
