"""Full-catalogue evaluation the usual way in PyTorch: scores of a block of users, the history masked,
torch.topk, hits and NDCG from the positions.

Reads the vectors that bench/rank_bench.cpp left in a directory and answers commands on stdin:
`threads N`, `block N` (users at once), `recall` and `ndcg` (of the last round), `round` (ranks all
users; prints seconds), `peak` (MiB).
"""

import sys
import time

import numpy as np
import torch

directory = sys.argv[1]
USERS, ITEMS, DIM, SEEN = (int(x) for x in sys.argv[2:6])
K = 20


def load(name, kind, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}", kind).reshape(shape))


users = load("users.f32", np.float32, USERS, DIM)
items = load("items.f32", np.float32, ITEMS, DIM)
targets = load("targets.i64", np.int64, USERS)
seen = load("seen.i64", np.int64, USERS, SEEN)
discounts = 1.0 / torch.log2(torch.arange(K, dtype=torch.float64) + 2.0)


@torch.no_grad()
def evaluate(block):
    hits, gain = 0.0, 0.0
    for begin in range(0, USERS, block):
        end = min(USERS, begin + block)
        scores = users[begin:end] @ items.t()
        scores.scatter_(1, seen[begin:end], -torch.inf)
        best = torch.topk(scores, K).indices
        found = best == targets[begin:end, None]
        hits += found.sum().item()
        gain += (found * discounts).sum().item()
    return hits / USERS, gain / USERS


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0


block, recall, ndcg = 256, 0.0, 0.0
for line in sys.stdin:
    words = line.split()
    answer = 0.0
    if words[0] == "threads":
        torch.set_num_threads(int(words[1]))
    elif words[0] == "block":
        block = int(words[1])
    elif words[0] == "round":
        start = time.perf_counter()
        recall, ndcg = evaluate(block)
        answer = time.perf_counter() - start
    elif words[0] == "recall":
        answer = recall
    elif words[0] == "ndcg":
        answer = ndcg
    elif words[0] == "peak":
        answer = peak_mib()
    print(f"{answer:.9f}", flush=True)
