-- wrk calls this once at its end: exact figures on one line, where its own are rounded for the eye
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nreport {"requests": %d, "bytes": %d, "microseconds": %d, "connect": %d, "read": %d, "write": %d, ' ..
    '"status": %d, "timeout": %d, "p50": %d, "p99": %d, "p99.9": %d, "max": %d}\n',
    summary.requests, summary.bytes, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
