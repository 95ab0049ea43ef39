-- Stands for a Lua library that the local image does not have: loading it is fine, using it says so.
-- Constants (in upper case) are read while the modules load, so they have some value.
local library = ...

return setmetatable({}, {
  __index = function(_, member)
    if member:match("^[A-Z_]+$") then
      return 0
    end
    error(library .. "." .. member .. ": this library is not in the local cluster's ingress-nginx image")
  end,
})
