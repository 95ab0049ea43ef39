-- Replaces a Lua library that the local image does not have: loading it works, using it raises an error.
-- While NGINX loads its modules, they read constants (in upper case) and create one instance (a lock), so both work.
local library = ...
local stub = {}

setmetatable(stub, {
  __index = function(_, member)
    if member == "new" then
      return function()
        return stub
      end
    end
    if member:match("^[A-Z_]+$") then
      return 0
    end
    error(library .. "." .. member .. ": this library is not in the local cluster's ingress-nginx image")
  end,
})

return stub
