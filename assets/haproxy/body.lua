-- Counts the bytes of a request's body as they come, and stops it above txn.body_limit:
--   filter lua.body
-- A body that comes in chunks, or by HTTP/2 without a length, says nowhere how long it is. HAProxy answers a request that a
-- filter stops with its 400, and closes the connection to the server; the variables make a 413 of that, see answers.ts.

local Body = {}
Body.__index = Body
Body.id = "body limit"
Body.flags = filter.FLT_CFG_FL_HTX

function Body:new()
  return setmetatable({ seen = 0 }, Body)
end

function Body:start_analyze(txn, channel)
  if not channel:is_resp() then
    filter.register_data_filter(self, channel)
  end
end

function Body:http_payload(txn, message)
  -- Not message:input(): that counts the mark of the last chunk, and trailers.
  self.seen = self.seen + #(message:body() or "")
  self.limit = self.limit or txn:get_var("txn.body_limit")
  if self.limit and self.seen > self.limit then
    txn:set_var("txn.problem", string.format(
      "The request's body is above the limit of %d bytes for this route.", self.limit))
    txn:set_var("txn.problem_type", "request_too_large")
    txn:set_var("txn.problem_status", 413)
    -- The number that a filter may return for a failure is lost in HAProxy: it compares it as one without a sign.
    error("a request's body is above its limit", 0)
  end
  message:forward(message:input())
end

core.register_filter("body", Body, function(body) return body end)
