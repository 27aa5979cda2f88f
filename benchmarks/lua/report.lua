-- Prints wrk's own figures, unrounded, as one line of JSON after a marker that measure.py looks for.

local line = 'drawbar-bench {"requests": %d, "sent": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, '
          .. '"status_errors": %d, "timeouts": %d, "socket_errors": %d}\n'

-- How many requests went out, for scripts that count them; else as many as came back.
sent = nil

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(line:format(
      summary.requests, sent and sent() or summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99),
      errors.status, errors.timeout, errors.connect + errors.read + errors.write))
end
