"""One meta-training task of s2Meta after the other, written the usual way in PyTorch.

Reads the parameters ω, frozen vectors and drawn batches that bench/s2meta_bench.cpp left in a directory and answers
commands on stdin: `threads N`, `reset` (ω as at first), `check` (one task and its step; leaves the gradient and the
new ω in DIR/peer_gradient.f32 and DIR/peer_omega.f32 and prints the query loss), `round` (every task once, seconds),
`peak` (MiB). The inner loop, the coordinate-wise LSTMs, the stop controller, the policy gradient, clipping and Adam
are the method's; autograd does the backward pass. Batches are drawn beforehand, so that both sides learn the same.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_flush_denormal(True)
directory = sys.argv[1]
with open(f"{directory}/problem.json", encoding="utf-8") as file:
    P = json.load(file)
KIND, STEPS, TASKS, H = P["network"], P["steps"], P["tasks"], 16


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.i64", np.int64).reshape(shape))


users, items = floats("users", -1, P["dim"]), floats("items", -1, P["dim"])
inner = integers("inner", TASKS, STEPS, 3, -1)  # users, positives, negatives
query = integers("query", TASKS, 3, -1)


def network(theta, u, i):
    def linear(k, x):
        return F.linear(x, theta[2 * k], theta[2 * k + 1])

    if KIND == "mapping":
        return (linear(1, F.relu(linear(0, u))) * linear(3, F.relu(linear(2, i)))).sum(1)
    both = torch.cat([u, i], 1)
    if KIND == "hybrid":
        return linear(2, torch.cat([linear(1, F.relu(linear(0, both))), u * i], 1)).squeeze(1)
    x = both
    for k in range(3):
        x = F.relu(linear(k, x))
    return linear(3, x).squeeze(1)


def hinge(theta, batch):
    u, i, n = users[batch[0]], items[batch[1]], items[batch[2]]
    return F.relu(1 - network(theta, u, i) + network(theta, u, n)).mean()


def smooth(x):
    size = x.abs()
    large = size >= np.exp(-10.0)
    first = torch.where(large, torch.log(size + 1e-20) / 10, torch.full_like(x, -1.0))
    return torch.stack([first, torch.where(large, torch.sign(x), x * np.exp(10.0))], -1)


class UpdateController(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.cell = nn.LSTMCell(5, H)
        self.norm = nn.LayerNorm(H)
        self.alpha, self.beta = nn.Linear(H, 1), nn.Linear(H, 1)
        self.h, self.c = nn.Parameter(torch.empty(H)), nn.Parameter(torch.empty(H))
        self.parts = [self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh, self.norm.weight,
                      self.norm.bias, self.alpha.weight, self.alpha.bias, self.beta.weight, self.beta.bias, self.h,
                      self.c]
        load(self.parts, values)

    def forward(self, theta, gradient, loss, state):
        flat, g = theta.reshape(-1), gradient.reshape(-1).clamp(-1, 1)
        if state is None:
            state = (self.h.expand(len(flat), H), self.c.expand(len(flat), H))
        x = torch.cat([smooth(g), smooth(flat.detach()), loss.expand(len(flat), 1)], 1)
        h, c = self.cell(x, state)
        h = self.norm(h)
        alpha, beta = torch.sigmoid(self.alpha(h)).squeeze(1), torch.sigmoid(self.beta(h)).squeeze(1)
        return (beta * flat - alpha * g).view_as(theta), (h, c)


class StopController(nn.Module):
    def __init__(self, inputs, values):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(inputs, 2 * inputs), nn.Linear(2 * inputs, 1)
        self.h, self.c = nn.Parameter(torch.empty(1, 2 * inputs)), nn.Parameter(torch.empty(1, 2 * inputs))
        self.parts = [self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh, self.head.weight,
                      self.head.bias, self.h, self.c]
        load(self.parts, values)

    def forward(self, x, state):
        h, c = self.cell(x, (self.h, self.c) if state is None else state)
        return torch.sigmoid(self.head(h)).squeeze(), (h, c)


def load(parts, values):
    with torch.no_grad():
        for part in parts:
            part.copy_(values[: part.numel()].view_as(part))
            values = values[part.numel():]
    assert len(values) == 0


class MetaLearner:
    def __init__(self):
        omega, at, self.start = floats("omega", -1), 0, []
        for shape in P["shapes"]:
            size = int(np.prod(shape))
            self.start.append(nn.Parameter(omega[at:at + size].view(shape).clone()))
            at += size
        self.update = []
        for _ in P["shapes"]:
            self.update.append(UpdateController(omega[at:at + P["controller"]]))
            at += P["controller"]
        self.stop = StopController(len(P["shapes"]) + 1, omega[at:])
        self.groups = [self.start, [p for u in self.update for p in u.parts], self.stop.parts]
        self.all = [p for group in self.groups for p in group]
        rates = (1e-4, 1e-4, 5e-5)
        self.optimizer = torch.optim.Adam([{"params": g, "lr": r} for g, r in zip(self.groups, rates)],
                                          weight_decay=1e-5)

    def task(self, number):
        theta, states, stop_state = self.start, [None] * len(self.start), None
        probabilities, losses = [], []
        for t in range(STEPS):
            leaves = [p.detach().requires_grad_() for p in theta]
            loss = hinge(leaves, inner[number, t])
            gradients = torch.autograd.grad(loss, leaves)
            with torch.no_grad():
                losses.append(hinge(theta, query[number]))
                seen = smooth(torch.stack([g.norm() for g in gradients] + [loss.detach()]))[:, 0]
            p, stop_state = self.stop(seen.unsqueeze(0), stop_state)
            probabilities.append(p)
            shared = smooth(loss.detach().view(1))[:, :1]
            results = [u(x, g, shared, s) for u, x, g, s in zip(self.update, theta, gradients, states)]
            theta, states = [r[0] for r in results], [r[1] for r in results]
        final = hinge(theta, query[number])
        total = final
        for p, before in zip(probabilities, losses):
            total = total - torch.log(1 - p) * (before - final.detach())
        self.optimizer.zero_grad()
        total.backward()
        return final.item()

    def step(self):
        torch.nn.utils.clip_grad_value_(self.all, 0.25)
        self.optimizer.step()


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors]).numpy()


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


learner = MetaLearner()
for line in sys.stdin:
    command, answer = line.split(), 0
    if command[0] == "threads":
        torch.set_num_threads(int(command[1]))
    elif command[0] == "reset":
        learner = MetaLearner()
    elif command[0] == "check":
        answer = learner.task(0)
        flat([p.grad for p in learner.all]).tofile(f"{directory}/peer_gradient.f32")
        learner.step()
        flat(learner.all).tofile(f"{directory}/peer_omega.f32")
    elif command[0] == "round":
        start = time.perf_counter()
        for number in range(TASKS):
            learner.task(number)
            learner.step()
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
