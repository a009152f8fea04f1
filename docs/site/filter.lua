--- A filter of pandoc: what in a page's Markdown is meant for a forge becomes what a browser of files needs.
--
-- A link to another page's .md leads to its .html. One to a file that is no page has nowhere to lead, and is left out.
-- Headings get a link to themselves.
-- luacheck: read globals pandoc
local known, directory = {}, "."
local anchor = { class = "anchor", ["aria-label"] = "Link to this heading" } -- its sign is the style sheet's

local function read_metadata(meta)
  for file, page in pairs(meta.known) do known[file] = pandoc.utils.stringify(page) end
  directory = pandoc.utils.stringify(meta.directory)
end

-- PATH, relative to the page's directory, relative to the source tree.
local function resolve(path)
  local parts = {}
  for part in (directory .. "/" .. path):gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

local function link(element)
  if element.target:find "^%a+:" or element.target:find "^#" then return nil end
  local path, place = element.target:match "^([^#]*)(.*)$"
  local page = known[resolve(path)]
  if not page then return element.content end
  element.target = page .. place
  return element
end

local function header(element)
  if element.level > 1 and element.identifier ~= "" then
    element.content:insert(pandoc.Link("", "#" .. element.identifier, "", anchor))
  end
  return element
end

return { { Meta = read_metadata }, { Link = link }, { Header = header } }
