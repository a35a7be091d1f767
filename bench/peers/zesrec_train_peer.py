"""One training step of ZESRec-G (map, full softmax) written the usual way in PyTorch.

Reads the weights, item vectors and batches that bench/zesrec_train_bench.cpp left in a directory and
answers commands on stdin: `threads N`, `check` (one step without dropout; leaves the parameters in
DIR/peer_NAME.f32 and prints the loss), `round` (one step on every batch; prints seconds), `peak`
(MiB). Variant `padded`: logits at all positions of the padded batch, the padding ignored by the loss.
Variant `packed`: the positions of real targets are selected before the logits.
"""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# Repeated steps on few batches drive gradients of unlikely items into denormal numbers, on which the processor
# is ten times slower: flushing them to zero is what makes the peer fast.
torch.set_flush_denormal(True)

directory, variant = sys.argv[1], sys.argv[2]
J, D, E, TOKENS, LAMBDA, DROPOUT = (float(x) for x in sys.argv[3:9])
J, D, E = int(J), int(D), int(E)


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.i64", np.int64))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.item = nn.Linear(E, D)
        self.dummy = nn.Parameter(floats("dummy", D))
        self.offsets = nn.Parameter(floats("offsets", J, D))
        self.gru = nn.GRU(D, D, batch_first=True)
        self.x = floats("items", J, E)
        with torch.no_grad():
            self.item.weight.copy_(floats("item_weight", D, E))
            self.item.bias.copy_(floats("item_bias", D))
            self.gru.weight_ih_l0.copy_(floats("user_layer0_input", 3 * D, D))
            self.gru.weight_hh_l0.copy_(floats("user_layer0_hidden", 3 * D, D))
            self.gru.bias_ih_l0.copy_(floats("user_layer0_input_bias", 3 * D))
            self.gru.bias_hh_l0.copy_(floats("user_layer0_hidden_bias", 3 * D))

    def forward(self, inputs, targets, p):
        v = self.item(self.x) + self.offsets
        table = torch.cat([self.dummy.unsqueeze(0), v])  # the dummy is row 0, item j is row j + 1
        x = F.dropout(F.embedding(inputs + 1, table), p)
        states = F.dropout(self.gru(x)[0], p).reshape(-1, D)
        wanted = targets.reshape(-1)
        if variant == "packed":
            keep = wanted >= 0
            states, wanted = states[keep], wanted[keep]
        loss = F.cross_entropy(states @ v.t(), wanted, ignore_index=-1)
        return loss, loss + 0.5 * LAMBDA / TOKENS * self.offsets.square().sum()


def padded(number):
    lengths = integers(f"lengths{number}").tolist()
    pad = nn.utils.rnn.pad_sequence
    inputs = integers(f"inputs{number}").split(lengths)
    targets = integers(f"targets{number}").split(lengths)
    return pad(inputs, True, -1), pad(targets, True, -1)


def step(model, optimizer, batch, p):
    optimizer.zero_grad()
    loss, total = model(*batch, p)
    total.backward()
    optimizer.step()
    return loss.item()


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


model = Model()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, eps=1e-3)
batches = [padded(number) for number in range(int(sys.argv[9]))]
for line in sys.stdin:
    command = line.split()
    if command[0] == "threads":
        torch.set_num_threads(int(command[1]))
        answer = 0
    elif command[0] == "check":
        answer = step(model, optimizer, batches[0], 0.0)
        named = {"item_weight": model.item.weight, "item_bias": model.item.bias,
                 "dummy": model.dummy, "offsets": model.offsets,
                 "user_layer0_input": model.gru.weight_ih_l0,
                 "user_layer0_hidden": model.gru.weight_hh_l0,
                 "user_layer0_input_bias": model.gru.bias_ih_l0,
                 "user_layer0_hidden_bias": model.gru.bias_hh_l0}
        for name, tensor in named.items():
            tensor.detach().numpy().tofile(f"{directory}/peer_{name}.f32")
    elif command[0] == "round":
        start = time.perf_counter()
        for batch in batches:
            step(model, optimizer, batch, DROPOUT)
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
