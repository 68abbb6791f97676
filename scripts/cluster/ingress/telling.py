"""What the ingress's log has: a time and a line."""

import time


def tell(line):
    now = time.time()
    print(f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d} {line}", flush=True)
