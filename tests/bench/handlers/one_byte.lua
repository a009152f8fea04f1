--- one_byte: whoever connects is told x, and that is all.
--
--   answer, and the end
local states = {}

function states.answer(conn)
  conn:write "x"
end

return { initial = "answer", states = states, timeouts = { 60 } }
