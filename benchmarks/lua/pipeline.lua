-- Sixteen requests in one write, as HTTP/1.1 pipelining sends them; wrk counts each response.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "report.lua")

local depth = 16
local batch
local threads = {}

batches = 0

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   local requests = {}
   for i = 1, depth do
      requests[i] = wrk.format("GET", wrk.path)
   end
   batch = table.concat(requests)
end

function request()
   batches = batches + 1
   return batch
end

function sent()
   local total = 0
   for _, thread in ipairs(threads) do
      total = total + thread:get("batches") * depth
   end
   return total
end
