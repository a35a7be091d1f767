"""BPR matrix factorisation written the usual way in PyTorch.

Reads what bench/bprmf_train_bench.cpp left in a directory and answers commands on stdin: `check`
(steps on the given triples; leaves the tables in DIR/peer_users.f32 and DIR/peer_items.f32 and
prints the summed loss of the last step), `round` (draws the negatives of one epoch and trains on it;
prints seconds), `peak` (MiB). Variant `script`: what scripts do: a Dataset of triples, negatives
drawn one by one in Python, a DataLoader that collates rows. Variant `vectorised`: negatives drawn by
numpy for the whole epoch, batches cut from one tensor.
"""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.utils import data

torch.set_flush_denormal(True)
torch.set_num_threads(1)

directory, variant, kind = sys.argv[1:4]
USERS, ITEMS, DIM, BATCH, NEGATIVES = (int(x) for x in sys.argv[4:9])


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name):
    return np.fromfile(f"{directory}/{name}.i64", np.int64)


class BPR(nn.Module):
    def __init__(self):
        super().__init__()
        self.users = nn.Embedding(USERS, DIM)
        self.items = nn.Embedding(ITEMS, DIM)
        with torch.no_grad():
            self.users.weight.copy_(floats("users", USERS, DIM))
            self.items.weight.copy_(floats("items", ITEMS, DIM))

    def forward(self, user, item_i, item_j):
        user = self.users(user)
        return (user * self.items(item_i)).sum(dim=-1), (user * self.items(item_j)).sum(dim=-1)


class Triples(data.Dataset):
    def __init__(self, pairs, taken):
        self.pairs, self.taken, self.rows = pairs, taken, []

    def ng_sample(self):
        self.rows = []
        for user, item in self.pairs:
            for _ in range(NEGATIVES):
                j = np.random.randint(ITEMS)
                while (user, j) in self.taken:
                    j = np.random.randint(ITEMS)
                self.rows.append([user, item, j])

    def __len__(self):
        return len(self.pairs) * NEGATIVES

    def __getitem__(self, index):
        user, item_i, item_j = self.rows[index]
        return user, item_i, item_j


def step(batch):
    model.zero_grad()
    prediction_i, prediction_j = model(*batch)
    loss = -(prediction_i - prediction_j).sigmoid().log().sum()
    loss.backward()
    optimizer.step()
    return loss.item()


def vectorised_epoch():
    user = np.repeat(pairs[:, 0], NEGATIVES)
    item = np.repeat(pairs[:, 1], NEGATIVES)
    other = np.random.randint(ITEMS, size=user.size)
    wrong = np.isin(user * ITEMS + other, keys)
    while wrong.any():
        other[wrong] = np.random.randint(ITEMS, size=int(wrong.sum()))
        wrong = np.isin(user * ITEMS + other, keys)
    rows = torch.from_numpy(np.stack([user, item, other]))[:, torch.randperm(user.size)]
    for first in range(0, user.size, BATCH):
        step(rows[:, first:first + BATCH])


def script_epoch():
    loader.dataset.ng_sample()
    for user, item_i, item_j in loader:
        step((user, item_i, item_j))


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


model = BPR()
if kind == "sgd":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=0.001)
else:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.006, betas=(0.9, 0.98), eps=1e-9)
pairs = integers("pairs").reshape(-1, 2)
keys = np.unique(pairs[:, 0] * ITEMS + pairs[:, 1])
if variant == "script":
    listed = [tuple(pair) for pair in pairs.tolist()]
    loader = data.DataLoader(Triples(listed, set(listed)), batch_size=BATCH, shuffle=True)
for line in sys.stdin:
    command = line.split()
    if command[0] == "check":
        answer = 0.0
        triples = torch.from_numpy(integers("triples").reshape(-1, 3))
        for first in range(0, len(triples), BATCH):
            answer = step(triples[first:first + BATCH].t())
        model.users.weight.detach().numpy().tofile(f"{directory}/peer_users.f32")
        model.items.weight.detach().numpy().tofile(f"{directory}/peer_items.f32")
    elif command[0] == "round":
        start = time.perf_counter()
        script_epoch() if variant == "script" else vectorised_epoch()
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
