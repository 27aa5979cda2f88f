-- What a proxy adds for its clients: ten thousand of them in turn, eight requests for each.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")

local CLIENTS = 10000
local EACH = 8
local requests = {}
local asked = 0

-- Not in init(), whose work would delay the first requests: this file is read before the clock starts.
for client = 0, CLIENTS - 1 do
   requests[client] = table.concat({
      "GET / HTTP/1.1", "Host: 127.0.0.1",
      string.format("X-Forwarded-For: 203.0.%d.%d", math.floor(client / 256), client % 256),
      "X-Forwarded-Proto: https", "X-Forwarded-Host: www.example.com", "X-Forwarded-Port: 443", "", "",
   }, "\r\n")
end

function request()
   asked = asked + 1
   return requests[math.floor(asked / EACH) % CLIENTS]
end
