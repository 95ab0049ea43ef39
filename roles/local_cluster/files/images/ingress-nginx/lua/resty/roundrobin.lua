-- Weighted round robin with the interface that the controller's balancer uses: new(nodes), reinit(nodes), find().
-- nodes: address -> weight (a positive number).
local RoundRobin = {}
RoundRobin.__index = RoundRobin

function RoundRobin:reinit(nodes)
  self.nodes = nodes
  self.current = {}
end

function RoundRobin:new(nodes)
  local balancer = setmetatable({}, RoundRobin)
  balancer:reinit(nodes)
  return balancer
end

-- Smooth weighted round robin: add its weight to each node's value, choose the node with the highest value and subtract the total from it.
function RoundRobin:find()
  local best, total = nil, 0
  for node, weight in pairs(self.nodes) do
    total = total + weight
    self.current[node] = (self.current[node] or 0) + weight
    if best == nil or self.current[node] > self.current[best] then
      best = node
    end
  end
  if best ~= nil then
    self.current[best] = self.current[best] - total
  end
  return best
end

return RoundRobin
