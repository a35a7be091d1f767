"""Training steps of SASRec written the usual way in PyTorch, batches padded to L.

Reads weights and batches that bench/sasrec_train_bench.cpp left in a directory and answers commands
on stdin: `check` (loss and gradients without dropout on batch 0, whose histories fill the window;
leaves the gradients in DIR/peer_NAME.f32 and prints the loss), `round` (one step on every batch; prints
seconds), `peak` (MiB). Batches lie ready as padded tensors: the loader is not timed.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

torch.set_flush_denormal(True)
torch.set_num_threads(1)

directory = sys.argv[1]
ITEMS, D, L, BLOCKS, HEADS, BATCHES = (int(x) for x in sys.argv[2:8])
DROPOUT = float(sys.argv[8])


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name):
    return np.fromfile(f"{directory}/{name}.i64", np.int64)


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(D, D, kernel_size=1)
        self.conv2 = nn.Conv1d(D, D, kernel_size=1)
        self.dropout1, self.dropout2 = nn.Dropout(DROPOUT), nn.Dropout(DROPOUT)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.dropout1(self.relu(self.conv1(x.transpose(-1, -2))))
        return x + self.dropout2(self.conv2(y)).transpose(-1, -2)


class SASRec(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = nn.Embedding(ITEMS + 1, D, padding_idx=0)
        self.positions = nn.Embedding(L + 1, D, padding_idx=0)
        self.dropout = nn.Dropout(DROPOUT)
        self.norm1 = nn.ModuleList(nn.LayerNorm(D, eps=1e-8) for _ in range(BLOCKS))
        self.norm2 = nn.ModuleList(nn.LayerNorm(D, eps=1e-8) for _ in range(BLOCKS))
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(D, HEADS, DROPOUT) for _ in range(BLOCKS))
        self.feed = nn.ModuleList(FeedForward() for _ in range(BLOCKS))
        self.last = nn.LayerNorm(D, eps=1e-8)
        with torch.no_grad():
            for name, tensor in named(self):
                tensor.copy_(floats(name, *tensor.shape))
            self.items.weight[0] = 0
            self.positions.weight[0] = 0

    def states(self, ids):
        x = self.items(ids) * D ** 0.5
        places = torch.arange(1, L + 1).repeat(ids.shape[0], 1) * (ids != 0)
        x = self.dropout(x + self.positions(places))
        pads = (ids == 0).unsqueeze(-1)
        x = x * ~pads
        mask = ~torch.tril(torch.ones((L, L), dtype=torch.bool))
        for norm1, attention, norm2, feed in zip(self.norm1, self.attention, self.norm2, self.feed):
            x = x.transpose(0, 1)
            q = norm1(x)
            x = q + attention(q, x, x, attn_mask=mask)[0]
            x = feed(norm2(x.transpose(0, 1))) * ~pads
        return self.last(x)

    def forward(self, ids, positive, negative):
        states = self.states(ids)
        return (states * self.items(positive)).sum(-1), (states * self.items(negative)).sum(-1)


def named(model):
    """Our parameters' names and the tensors that hold them here."""
    all_of_it = [("items", model.items.weight), ("positions", model.positions.weight),
                 ("norm_gain", model.last.weight), ("norm_shift", model.last.bias)]
    for b in range(BLOCKS):
        attention, feed = model.attention[b], model.feed[b]
        all_of_it += [(f"block{b}_in_weight", attention.in_proj_weight),
                      (f"block{b}_in_bias", attention.in_proj_bias),
                      (f"block{b}_out_weight", attention.out_proj.weight),
                      (f"block{b}_out_bias", attention.out_proj.bias),
                      (f"block{b}_feed1_weight", feed.conv1.weight),
                      (f"block{b}_feed1_bias", feed.conv1.bias),
                      (f"block{b}_feed2_weight", feed.conv2.weight),
                      (f"block{b}_feed2_bias", feed.conv2.bias),
                      (f"block{b}_norm1_gain", model.norm1[b].weight),
                      (f"block{b}_norm1_shift", model.norm1[b].bias),
                      (f"block{b}_norm2_gain", model.norm2[b].weight),
                      (f"block{b}_norm2_shift", model.norm2[b].bias)]
    return all_of_it


def padded(number):
    """Inputs, positives, negatives as [B, L] with 0 in front; ids from 1."""
    offsets = integers(f"offsets{number}")
    tables = []
    for name in ("inputs", "positives", "negatives"):
        flat = integers(f"{name}{number}") + 1
        table = np.zeros((len(offsets) - 1, L), np.int64)
        for b in range(len(offsets) - 1):
            row = flat[offsets[b]:offsets[b + 1]]
            table[b, L - len(row):] = row
        tables.append(torch.from_numpy(table))
    return tables


def loss_of(batch):
    ids, positive, negative = batch
    optimizer.zero_grad()
    pos_logits, neg_logits = model(ids, positive, negative)
    real = positive != 0
    loss = criterion(pos_logits[real], torch.ones_like(pos_logits)[real])
    loss += criterion(neg_logits[real], torch.zeros_like(neg_logits)[real])
    loss.backward()
    return loss.item()


def step(batch):
    loss_of(batch)
    optimizer.step()


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


model = SASRec()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98))
batches = [padded(number) for number in range(BATCHES)]
for line in sys.stdin:
    command = line.split()
    if command[0] == "check":
        model.eval()
        answer = loss_of(batches[0])
        model.train()
        for name, tensor in named(model):
            tensor.grad.numpy().tofile(f"{directory}/peer_{name}.f32")
    elif command[0] == "round":
        start = time.perf_counter()
        for batch in batches[1:]:
            step(batch)
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
