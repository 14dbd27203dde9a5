"""Writes the starter project's synthetic data: customers of a shop, their orders, and who left.

`loopwright init` moves all times by whole days, so that the data end the day before.

Run by hand when the story changes: python3 generate.py. The seed makes the files the same every time.
"""

import csv
import math
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAYS = 180
HERE = Path(__file__).parent / "data"


def main() -> None:
    rng = random.Random(7)
    orders, checkups = [], []
    for number in range(1, 301):
        customer = f"c{number}"
        plan = rng.choice(["free", "basic", "plus"])
        rate = {"free": 0.05, "basic": 0.12, "plus": 0.2}[plan] * rng.uniform(0.4, 1.8)
        fading_from = rng.uniform(30, 400)
        days = [day for day in range(DAYS) if rng.random() < rate * (0.15 if day > fading_from else 1.0)]
        amounts = {day: round(rng.lognormvariate(3.2, 0.6), 2) for day in days}
        for day in days:
            ordered_at = START + timedelta(days=day, seconds=rng.randrange(86400))
            orders.append((customer, ordered_at.isoformat().replace("+00:00", "Z"), amounts[day]))
        for day in range(30 + rng.randrange(15), DAYS - 30, 15):
            recent = sum(1 for d in days if day - 30 <= d < day)
            risk = 0.6 - 0.55 * recent + (0.5 if plan == "free" else 0.0) + (1.0 if day > fading_from else -0.4)
            churned = rng.random() < 1 / (1 + math.exp(-risk))
            asked_at = START + timedelta(days=day)
            known_at = asked_at + timedelta(days=30)
            checkups.append(
                (f"{customer}-{day}", customer, plan, asked_at.date().isoformat() + "T00:00:00Z", str(churned).lower(), known_at.date().isoformat() + "T00:00:00Z")
            )
    orders.append(("c2", "2024-03-01T10:00:00Z", -40.0))  # a refund that slipped into the orders
    checkups.sort(key=lambda row: (row[3], row[0]))
    write("orders.csv", ["customer_id", "ordered_at", "amount"], sorted(orders[:-1], key=lambda row: (row[1], row[0])) + orders[-1:])
    write("checkups.csv", ["checkup_id", "customer_id", "plan", "asked_at", "churned", "known_at"], checkups)


def write(name: str, header: list[str], rows: list[tuple]) -> None:
    HERE.mkdir(exist_ok=True)
    with open(HERE / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
