-- Prints wrk's own figures, unrounded, as one line of JSON after a marker that measure.py looks for.

local line = 'drawbar-bench {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, '
          .. '"status_errors": %d, "timeouts": %d, "socket_errors": %d}\n'

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(line:format(
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.status, errors.timeout, errors.connect + errors.read + errors.write))
end
