"""Numbers that a graph reads from tensors, as optimizers do with a step size: made tensors again.

Inductor compiles no graph that reads one.
"""

import torch
from torch.fx import GraphModule, Node

_aten = torch.ops.aten


def with_tensor_arguments(graph: GraphModule) -> bool:
    """Puts tensors in the place of numbers that were read from them; whether none is left."""
    nodes = graph.graph.nodes
    for node in [each for each in nodes if each.target is _aten._local_scalar_dense.default]:
        for user in list(node.users):
            _rewrite(graph, user, node)
        if not node.users:
            graph.graph.erase_node(node)
    graph.graph.lint()
    graph.recompile()
    return not any(node.target is _aten._local_scalar_dense.default for node in nodes)


def _rewrite(graph: GraphModule, user: Node, number: Node) -> None:
    # x += number a, and x += number a / b.
    scaled: Node
    (tensor,) = number.args
    with graph.graph.inserting_before(user):
        if user.target is _aten.add_.Tensor and user.kwargs.get("alpha") is number:
            scaled = graph.graph.call_function(_aten.mul.Tensor, (user.args[1], tensor))
        elif user.target is _aten.addcdiv_.default and user.kwargs.get("value") is number:
            quotient = graph.graph.call_function(_aten.div.Tensor, user.args[1:3])
            scaled = graph.graph.call_function(_aten.mul.Tensor, (quotient, tensor))
        else:
            return
        added = graph.graph.call_function(_aten.add_.Tensor, (user.args[0], scaled))
    user.replace_all_uses_with(added)
    graph.graph.erase_node(user)
