"""Training steps of GRU4Rec by the official recipe, written the usual way in PyTorch.

Session-parallel batches with a state that is carried and detached, one shared embedding table read with
sparse gradients, targets of the batch and sampled items as classes, softmax cross entropy, Adagrad with
its epsilon inside of the root, row-sparse for the tables. Negatives come from a large cache that is drawn
in one go from the cumulated popularity^0.5, as the recipe does.

Reads what bench/gru4rec_official_bench.cpp left in a directory and answers commands on stdin: `threads N`,
`check` (the first three steps with given negatives; leaves the parameters in DIR/peer_NAME.f32 and prints
the last loss), `round` (all steps with drawn negatives; prints seconds), `peak` (MiB).
"""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_flush_denormal(True)  # denormal numbers are slow; flushing them is what makes the peer fast

directory = sys.argv[1]
J, D, B, K, STEPS = (int(x) for x in sys.argv[2:7])
RATE, EPS = float(sys.argv[7]), float(sys.argv[8])


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.i64", np.int64).reshape(shape))


class Adagrad:
    """p -= rate g / sqrt(sum + eps); sparse gradients touch their rows only."""

    def __init__(self, parameters):
        self.parameters = [(p, torch.zeros_like(p)) for p in parameters]

    @torch.no_grad()
    def step(self):
        for p, total in self.parameters:
            g = p.grad
            if g.is_sparse:
                g = g.coalesce()
                rows, values = g.indices()[0], g.values()
                new = total.index_select(0, rows).addcmul_(values, values)
                total.index_copy_(0, rows, new)
                p.index_add_(0, rows, values / (new + EPS).sqrt_(), alpha=-RATE)
            else:
                total.addcmul_(g, g)
                p.addcdiv_(g, (total + EPS).sqrt_(), value=-RATE)
            p.grad = None


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(J, D, sparse=True)
        self.bias = nn.Embedding(J, 1, sparse=True)
        self.gru = nn.GRUCell(D, D)
        with torch.no_grad():
            self.table.weight.copy_(floats("table", J, D))
            self.bias.weight.copy_(floats("bias", J, 1))
            self.gru.weight_ih.copy_(floats("input", 3 * D, D))
            self.gru.weight_hh.copy_(floats("hidden", 3 * D, D))
            self.gru.bias_ih.copy_(floats("input_bias", 3 * D))
            self.gru.bias_hh.copy_(floats("hidden_bias", 3 * D))

    def forward(self, inputs, classes, state):
        rows = self.table(torch.cat([inputs, classes]))
        state = self.gru(rows[:B], state)
        scores = state @ rows[B:].t() + self.bias(classes).t()
        return F.cross_entropy(scores, torch.arange(B)), state


def step(model, optimizer, number, negatives, state):
    classes = torch.cat([targets[number], negatives])
    loss, state = model(inputs[number], classes, state.detach())
    loss.backward()
    optimizer.step()
    return loss.item(), state


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


inputs, targets = integers("inputs", STEPS, B), integers("targets", STEPS, B)
given = integers("negatives", 3, K)
cumulated = floats("popularity", J).double().pow(0.5).cumsum(0)
cumulated = (cumulated / cumulated[-1]).float()
cache = torch.empty(0, dtype=torch.int64)
used = 0


def draw():
    global cache, used
    if used + K > len(cache):
        cache, used = torch.searchsorted(cumulated, torch.rand(1_000 * K)).clamp_(max=J - 1), 0
    used += K
    return cache[used - K:used]


model = Model()
optimizer = Adagrad(model.parameters())
for line in sys.stdin:
    command = line.split()
    if command[0] == "threads":
        torch.set_num_threads(int(command[1]))
        answer = 0
    elif command[0] == "check":
        state = torch.zeros(B, D)
        for number in range(3):
            answer, state = step(model, optimizer, number, given[number], state)
        named = {"table": model.table.weight, "bias": model.bias.weight, "input": model.gru.weight_ih,
                 "hidden": model.gru.weight_hh, "input_bias": model.gru.bias_ih, "hidden_bias": model.gru.bias_hh}
        for name, tensor in named.items():
            tensor.detach().numpy().tofile(f"{directory}/peer_{name}.f32")
    elif command[0] == "round":
        start = time.perf_counter()
        state = torch.zeros(B, D)
        for number in range(STEPS):
            _, state = step(model, optimizer, number, draw(), state)
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
