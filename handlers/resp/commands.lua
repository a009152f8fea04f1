--- resp/commands: which function answers which words.
--
-- An arity is Redis's: 3 is exactly three words, the name included, and -3 three or more. A name may have several. Up
-- to four exact words are passed as they are, run(conn, a, b, c), so that no table is made; else run(conn, words, n),
-- words[1] being the name. Of those, A is most often a key, and then may be a borrowed slice: good for the store, and
-- until the command waits. Every function writes exactly one reply.
local reply = require "handlers.resp.reply"

local EXACT_MAX = 4
local SHOWN_MAX = 128 -- bytes of unknown words that an error repeats

local M = { exact = {}, keyed = {}, sliced = {}, open = {}, arity = {} }

local exact, keyed, open = M.exact, M.keyed, M.open

for n = 1, EXACT_MAX do exact[n], keyed[n] = {}, {} end

--- Have RUN answer NAME, in capitals, with ARITY. If that is exact, its second word is a string, whatever it means.
function M.add_plain(name, arity, run)
  for _, spelled in ipairs { name, name:lower() } do
    if arity > 0 then exact[arity][spelled] = run else open[spelled] = { least = -arity, run = run } end
  end
  local known = M.arity[name]
  M.arity[name] = known and -math.min(math.abs(known), math.abs(arity)) or arity
end

--- The same, the second word being a key.
function M.add(name, arity, run)
  M.add_plain(name, arity, run)
  if arity < 0 then return end
  keyed[arity][name], keyed[arity][name:lower()] = run, run
end

--- The same for three words, of which the third, too, may be a borrowed slice.
function M.add_sliced(name, run)
  M.add(name, 3, run)
  M.sliced[name], M.sliced[name:lower()] = run, run
end

local function shorten(text)
  return #text > SHOWN_MAX and text:sub(1, SHOWN_MAX) or text
end

local function unknown(conn, words, n)
  local shown = {}
  local size = 0
  for i = 2, n do
    if size >= SHOWN_MAX then break end
    shown[#shown + 1] = "'" .. words[i]:sub(1, SHOWN_MAX - size) .. "' "
    size = size + #shown[#shown]
  end
  reply.error(conn, ("ERR unknown command '%s', with args beginning with: %s"):format(shorten(words[1]),
    table.concat(shown)))
end

--- The error for a command, or "client|list", that was given too few or too many words.
function M.wrong_arity(conn, name)
  reply.error(conn, ("ERR wrong number of arguments for '%s' command"):format(name:lower()))
end

--- Answer WORDS, N of them.
function M.run(conn, words, n)
  local name = words[1]:upper()
  local run = n <= EXACT_MAX and exact[n][name]
  if run then return run(conn, words[2], words[3], words[4]) end
  local many = open[name]
  if many and n >= many.least then return many.run(conn, words, n) end
  if M.arity[name] then return M.wrong_arity(conn, name) end
  unknown(conn, words, n)
end

--- A function that answers the words of NAME by its SUBCOMMANDS, { [WORD] = { least, most, run } }; each is run as
-- run(conn, words, n).
function M.family(name, subcommands)
  return function(conn, words, n)
    local sub = subcommands[words[2]:upper()]
    if not sub then
      return reply.error(conn, ("ERR unknown subcommand '%s'. Try %s HELP."):format(shorten(words[2]), name))
    end
    if n < sub[1] or n > sub[2] then return M.wrong_arity(conn, name .. "|" .. words[2]) end
    return sub[3](conn, words, n)
  end
end

return M
