"""Reads interactions the plain Python way: import_peer.py FORMAT PATH.

Answers a line on stdin with a number on stdout: `count` the events, `round` the seconds of one
reading, `mib` the peak memory. A reading gives what ours gives: dense ids, and each user's events
in order of time.
"""
import csv
import json
import resource
import sys
import time


def sequences(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            user, items = line.rstrip("\n").split("\t")
            for position, item in enumerate(items.split(" ")):
                yield user, item, position, 1.0


def delimited(path):
    with open(path, encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for user, item, rating, moment in rows:
            yield user, item, int(moment), float(rating)


def amazon(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            review = json.loads(line)
            yield review["reviewerID"], review["asin"], int(review["unixReviewTime"]), float(review["overall"])


READERS = {"sequences": sequences, "csv": delimited, "amazon": amazon}


def read(form, path):
    users, items, histories = {}, {}, []
    for user, item, moment, rating in READERS[form](path):
        u = users.setdefault(user, len(users))
        if u == len(histories):
            histories.append([])
        histories[u].append((items.setdefault(item, len(items)), moment, rating))
    for history in histories:
        history.sort(key=lambda event: event[1])
    return histories


def main():
    form, path = sys.argv[1:]
    for command in sys.stdin:
        command = command.strip()
        if command == "mib":
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        else:
            start = time.perf_counter()
            histories = read(form, path)
            answer = time.perf_counter() - start if command == "round" else sum(map(len, histories))
        print(answer, flush=True)


if __name__ == "__main__":
    main()
