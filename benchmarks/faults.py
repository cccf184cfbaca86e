"""Faults: what is left of a fitted estimator when the next fit breaks.

    python benchmarks/faults.py                          # all of it, some minutes
    python benchmarks/faults.py --fault fork --tries 5   # one kind

An estimator is fitted, and fitted again to other rows while something goes wrong.
Afterwards it has to be as it was before or, where the fault came too late, all that the
second fit makes of it: attributes are compared bit for bit. The process has to be as it
was (generators, threads, dtypes), and the second fit, done once more, has to give what
it gives without a fault. Each kind of fault runs in a process of its own, and each try
in bounded time: what hangs is ended, and counted. Nothing outside of a temporary
folder is touched; limits are those of the process that meets them.
"""

import argparse
import faulthandler
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from itertools import cycle
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.datasets import make_swiss_roll
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

import skae
from skae import AutoEncoderTransformer, Modules, ReconstructionOutlierDetector

SECONDS = 120  # that a try may take
PACKAGE = str(Path(skae.__file__).parent)


def roll(seed):
    """Return a hundred rows of twelve features that no plane describes."""
    mixing = np.random.RandomState(0).normal(size=(3, 12))
    return make_swiss_roll(100, random_state=seed)[0] @ mixing


BEFORE, OTHER = roll(0), roll(1)
LABELS = np.arange(100) % 3
FEW = {"max_iter": 8, "random_state": 0}


def classes(X):
    """Return a target of which a part is missing, so that a teacher has work."""
    return np.where(np.arange(len(X)) % 4, np.arange(len(X)) % 3, np.nan)


def noisy(n_in, n_out):
    """Return a user's module, which draws from torch's own generator."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_in, 16), torch.nn.Dropout(0.1), torch.nn.Linear(16, n_out)
    )


# What is fitted, and how it is fitted again.
SUBJECTS = {
    "fit": (AutoEncoderTransformer(**FEW), lambda m: m.fit(OTHER)),
    "fit on": (
        AutoEncoderTransformer(**FEW, warm_start=True),
        lambda m: m.fit(OTHER, X_val=BEFORE),
    ),
    "partial_fit": (AutoEncoderTransformer(**FEW), lambda m: m.partial_fit(OTHER)),
    "supervised": (
        AutoEncoderTransformer(
            **FEW, supervision=1.0, teacher=KNeighborsClassifier(), ordered=True
        ),
        lambda m: m.fit(OTHER, classes(OTHER)),
    ),
    "drawn": (
        AutoEncoderTransformer(**FEW, latent="mixture", penalty="contraction"),
        lambda m: m.fit(OTHER),
    ),
    "own modules": (
        AutoEncoderTransformer(**FEW, network=Modules(noisy, noisy)),
        lambda m: m.fit(OTHER),
    ),
    "detector": (
        ReconstructionOutlierDetector(n_estimators=2, random_state=0),
        lambda m: m.fit(OTHER),
    ),
}


def process_state():
    """Return what a process has once for all."""
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's generator": np.random.get_state()[1].tobytes(),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "floating point errors": np.geterr(),
        "tracing": sys.gettrace(),
    }


class Subject:
    """An estimator that is about to be fitted again.

    Parameters
    ----------
    model : estimator
        Fitted.
    again : callable
        Fits it again.
    """

    def __init__(self, model, again):
        self.again = again
        self._pickle = pickle.dumps(model)
        start = time.perf_counter()
        undisturbed = again(self.restored())
        self.seconds = time.perf_counter() - start
        self.before, self.after = joblib.hash(self.restored()), joblib.hash(undisturbed)

    @classmethod
    def named(cls, name):
        """Return one of ``SUBJECTS``."""
        model, again = SUBJECTS[name]
        y = classes(BEFORE) if name == "supervised" else None
        return cls(model.fit(BEFORE, y), again)

    def restored(self):
        """Return it as it was before."""
        return pickle.loads(self._pickle)

    def verdict(self, model, process):
        """Return "" if nothing was lost, or what was."""
        now = process_state()
        changed = [name for name in now if now[name] != process[name]]
        if changed:
            return f"of the process: {', '.join(changed)}"
        if joblib.hash(model) not in (self.before, self.after):
            ours, theirs = vars(model), vars(self.restored())
            names = [n for n in {*ours, *theirs} if n not in ours or n not in theirs]
            return f"the state is of neither fit; came or went: {names}"
        if joblib.hash(self.again(self.restored())) != self.after:
            return "the fit behind it is another one"
        return ""

    def meet(self, disturbed):
        """Try once; return whether the fault came, and what was lost.

        Parameters
        ----------
        disturbed : callable
            Of a function to call: calls it, and lets something happen meanwhile.
        """
        model, process, came = self.restored(), process_state(), False
        try:
            disturbed(lambda: self.again(model))
        except Fault:
            came = True
        return came, self.verdict(model, process)


class Fault(BaseException):
    """What is raised where the kind does not ask for another exception."""


def subjects(rng):
    """Return those of all names, in another order, again and again."""
    made = {name: Subject.named(name) for name in SUBJECTS}
    while True:
        for name in rng.sample(list(made), len(made)):
            yield made[name]


# Faults: generators of (whether it came, what was lost), one a try.


def at_a_moment(number, error, n_times=1):
    """Let a signal come at any moment of a fit, or two, one soon after the other."""

    def faults(rng):
        left = [0]

        def handle(number, frame):
            while frame is not None:
                if left[0] and frame.f_code.co_filename.startswith(PACKAGE):
                    left[0] -= 1
                    raise error
                frame = frame.f_back

        signal.signal(signal.SIGALRM, lambda _, frame: signal.raise_signal(number))
        signal.signal(number, handle)
        for subject in subjects(rng):
            moment = rng.uniform(0.001, subject.seconds)
            soon = 10 ** rng.uniform(-4.5, -2.5)

            def disturbed(call, moment=moment, soon=soon):
                left[0] = n_times
                signal.setitimer(signal.ITIMER_REAL, moment, soon)
                try:
                    call()
                except error as raised:
                    raise Fault from raised
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)

            yield subject.meet(disturbed)

    return faults


class Lines:
    """Raises an exception at some line of skae, or counts them.

    Parameters
    ----------
    stop : int
        Line, counted from the first that runs.
    error : type of BaseException
    """

    def __init__(self, stop=sys.maxsize, error=None):
        self.stop, self.error, self.n = stop, error, 0

    def __enter__(self):
        """Begin to look."""
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_):
        """Look no longer."""
        sys.settrace(None)

    def _enter(self, frame, event, argument):
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame, event, argument):
        if event == "line":
            self.n += 1
            if self.n == self.stop:
                raise self.error("from a line of skae")
        return self._line


def at_a_line(error):
    """Let an exception come from any line of skae that a fit runs."""

    def faults(rng):
        n_lines = {}
        for subject in subjects(rng):
            if subject not in n_lines:
                with Lines() as lines:
                    subject.again(subject.restored())
                n_lines[subject] = lines.n

            line = rng.randint(1, n_lines[subject])

            def disturbed(call, line=line):
                try:
                    with Lines(line, error):
                        call()
                except error as raised:
                    raise Fault from raised

            yield subject.meet(disturbed)

    return faults


class Countdown:
    """What raises when it is used for the n-th time; users' code of any kind."""

    def __init__(self):
        self.left = sys.maxsize

    def __call__(self):
        """Count, and raise at the last."""
        self.left -= 1
        if self.left == 0:
            raise Fault


COUNTDOWN = Countdown()


class Layer(torch.nn.Linear):
    """A module of a user's."""

    def forward(self, x):
        """Return the product, if all is well."""
        COUNTDOWN()
        return super().forward(x)


def own_loss(output, target):
    """Return squared errors, if all is well."""
    COUNTDOWN()
    return (output - target) ** 2


def own_activation(x):
    """Return a rectified tensor, if all is well."""
    COUNTDOWN()
    return x.relu()


def own_corruption(x, rng):
    """Return the rows as they are, if all is well."""
    COUNTDOWN()
    return x.clone()


def own_penalty(z):
    """Return no cost, if all is well."""
    COUNTDOWN()
    return 0 * z.sum(dim=1)


class OwnTeacher(KNeighborsClassifier):
    """A classifier of a user's."""

    def predict(self, X):
        """Return classes, if all is well."""
        COUNTDOWN()
        return super().predict(X)


class OwnCallback:
    """A callback of a user's: its hooks raise if not all is well."""

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context, **_):
        """Count."""
        COUNTDOWN()

    def on_fit_task_end(self, estimator, context, **_):
        """Count, and do not stop the fit."""
        COUNTDOWN()
        return False


OWN = {
    "module": {"network": Modules(Layer, Layer)},
    "loss": {"loss": own_loss},
    "activation": {"activation": own_activation},
    "corruption": {"corruption": own_corruption},
    "penalty": {"penalty": own_penalty},
    "teacher": {"teacher": OwnTeacher(), "supervision": 1.0},
    "callback": {},
}


def in_users_code(names):
    """Let an exception come from some use of what a user wrote."""

    def faults(rng):
        made = {}
        while True:
            for name in names:
                if name not in made:
                    model = AutoEncoderTransformer(**FEW, **OWN[name])
                    if name == "callback":
                        model.set_callbacks(OwnCallback())
                    y = classes(OTHER) if name == "teacher" else None
                    COUNTDOWN.left = sys.maxsize
                    model.fit(BEFORE, y)
                    COUNTDOWN.left = sys.maxsize
                    subject = Subject(model, lambda m, y=y: m.fit(OTHER, y))
                    made[name] = subject, sys.maxsize - COUNTDOWN.left
                subject, n_calls = made[name]

                calls = rng.randint(1, max(n_calls, 1))

                def disturbed(call, calls=calls):
                    COUNTDOWN.left = calls
                    try:
                        call()
                    finally:
                        COUNTDOWN.left = sys.maxsize

                yield subject.meet(disturbed)

    return faults


def little_memory(rng):
    """Let the process have less memory than a fit of wide rows takes."""
    X = np.random.RandomState(0).normal(size=(600, 20_000)).astype(np.float32)
    params = {"hidden_layer_sizes": (512,), "max_iter": 2, "random_state": 0}
    model = AutoEncoderTransformer(**params).fit(X[:, :50])
    subject = Subject(model, lambda m: m.fit(X))
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    while True:
        spare = rng.randint(0, 150)  # megabytes

        def disturbed(call, spare=spare):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + spare * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most, unlimited[1]))
            try:
                call()
            except MemoryError as error:
                raise Fault from error
            finally:
                resource.setrlimit(resource.RLIMIT_AS, unlimited)

        yield subject.meet(disturbed)


def full_disk(rng):
    """Let no file grow beyond some bytes while a report replaces another."""
    model = AutoEncoderTransformer(**FEW).fit(BEFORE)
    subject = Subject(model, lambda m: m.fit(OTHER))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        size = len(skae.report(model, BEFORE, path=page).read_bytes())
        old = page.read_bytes()
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        while True:
            process, came = process_state(), False
            most = rng.randint(0, size - 1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, unlimited[1]))
            try:
                skae.report(model, OTHER, path=page)
            except OSError:
                came = True
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            if page.read_bytes() != old:
                yield came, "the file that was there"
            elif os.listdir(folder) != [page.name]:
                yield came, "the space of a half-written file"
            else:
                yield came, subject.verdict(model, process)


def killed_while_writing(rng):
    """Kill a process while it replaces one file by another, again and again."""
    texts = {"old": "a" * 3_000_000, "new": "b" * 3_000_000}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(texts["old"])
        while True:
            child = os.fork()
            if child == 0:
                while True:
                    for text in texts.values():
                        skae._runtime.files.write_whole(path, text)
            time.sleep(rng.uniform(0.02, 0.1))
            os.kill(child, rng.choice([signal.SIGTERM, signal.SIGKILL]))
            os.waitpid(child, 0)
            found = path.read_text()
            yield True, "" if found in texts.values() else f"{len(found)} bytes"


def deadly(output, target):
    """Kill the process, if it is a worker."""
    if os.environ.get("FAULTS_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return (output - target) ** 2


def killed_worker(rng):
    """Kill a worker of a grid search; the next search has to work."""
    os.environ["FAULTS_PARENT"] = str(os.getpid())
    model = AutoEncoderTransformer(**FEW).fit(BEFORE)
    subject = Subject(model, lambda m: m.fit(OTHER))
    while True:
        process, came = process_state(), False
        grid = {"loss": ["squared_error", deadly]}
        try:
            GridSearchCV(model, grid, cv=2, n_jobs=2).fit(OTHER)
        except Exception as error:  # joblib names it TerminatedWorkerError
            came = "Terminated" in type(error).__name__
        grid = {"n_components": [2, 3]}
        search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(OTHER)
        if search.best_params_ != {"n_components": 3}:
            yield came, "the search behind it"
        yield came, subject.verdict(model, process)


def ended(child):
    """Wait for a process as long as a try may take, and kill it then."""
    end = time.monotonic() + SECONDS / 5
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGUSR1)  # says where
    time.sleep(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def fork(rng):
    """Fork while another thread fits; both go on, the child with a fit of its own."""
    faulthandler.register(signal.SIGUSR1)
    named = [Subject.named(name) for name in ("fit", "drawn", "own modules")]
    for subject in cycle(named):
        model, process = subject.restored(), process_state()
        fit = threading.Thread(target=subject.again, args=(model,))
        fit.start()
        time.sleep(rng.uniform(0, subject.seconds))
        came = fit.is_alive()
        child = os.fork()
        if child == 0:
            mine = subject.again(subject.restored())
            os._exit(0 if joblib.hash(mine) == subject.after else 1)
        code = ended(child)
        fit.join(SECONDS)
        lost = {0: "", 1: "the child's fit", None: "the child hung"}
        if code != 0:
            yield came, lost.get(code, f"the child: {code}")
        elif joblib.hash(model) != subject.after:
            yield came, "the parent's fit"
        else:
            yield came, subject.verdict(model, process)


def threads(rng):
    """Let two threads fit one estimator each while ten encode by the same two."""
    while True:
        pair = [Subject.named("fit"), Subject.named("drawn")]
        models, process = [subject.restored() for subject in pair], process_state()
        old = [model.transform(BEFORE) for model in models]
        new = [s.again(s.restored()).transform(BEFORE) for s in pair]
        done, lost, n_encoded = threading.Event(), [], [0]

        def fit(i, models=models, pair=pair):
            pair[i].again(models[i])

        def encode(
            i, models=models, old=old, new=new, done=done, lost=lost, n=n_encoded
        ):
            while not done.is_set():
                try:
                    Z = models[i % 2].transform(BEFORE)
                except Exception as error:
                    lost.append(f"transform: {error!r}"[:100])
                    return
                n[0] += 1
                if not any(np.allclose(Z, z[i % 2], atol=1e-4) for z in (old, new)):
                    lost.append("codes of neither state")

        fits = [threading.Thread(target=fit, args=(i,)) for i in range(2)]
        others = [threading.Thread(target=encode, args=(i,)) for i in range(10)]
        for thread in [*others, *fits]:
            thread.start()
        for thread in fits:
            thread.join(SECONDS / 5)
        done.set()
        for thread in others:
            thread.join(SECONDS / 4)
        if any(thread.is_alive() for thread in [*fits, *others]):
            yield True, "a thread hung"
        elif lost:
            yield True, lost[0]
        else:
            found = [s.verdict(m, process) for s, m in zip(pair, models, strict=True)]
            yield n_encoded[0] > 0, found[0] or found[1]


# name: (what happens, the faults, how often)
FAULTS = {
    "interrupt": (
        "Ctrl-C at a random moment",
        at_a_moment(signal.SIGINT, KeyboardInterrupt),
        60,
    ),
    "impatience": (
        "Ctrl-C twice, the second within 3 ms",
        at_a_moment(signal.SIGINT, KeyboardInterrupt, n_times=2),
        60,
    ),
    "terminate": (
        "SIGTERM at a random moment, with a handler that exits",
        at_a_moment(signal.SIGTERM, SystemExit),
        30,
    ),
    "line": (
        "`KeyboardInterrupt` at a random line of skae",
        at_a_line(KeyboardInterrupt),
        60,
    ),
    "allocation": (
        "`MemoryError` at a random line of skae",
        at_a_line(MemoryError),
        60,
    ),
    "callback": ("an exception in a callback", in_users_code(["callback"]), 20),
    "part": (
        "an exception in a user's module, loss, activation, penalty, teacher, ...",
        in_users_code([name for name in OWN if name != "callback"]),
        60,
    ),
    "memory": ("less memory than the fit takes (`RLIMIT_AS`)", little_memory, 20),
    "disk": ("a full disk under `report` (`RLIMIT_FSIZE`)", full_disk, 10),
    "write": ("SIGTERM or SIGKILL while a file is replaced", killed_while_writing, 50),
    "worker": ("SIGKILL of a worker in a grid search", killed_worker, 3),
    "fork": ("fork while another thread fits", fork, 30),
    "threads": (
        "two threads fit two estimators, while ten threads encode with them",
        threads,
        10,
    ),
}


def try_one_kind(name, n_tries, seed):
    """Print what came of each try as a line of JSON."""
    warnings.simplefilter("ignore")
    _, faults, _ = FAULTS[name]
    tries = faults(random.Random(seed))
    for _ in range(n_tries):
        # Where it hangs is written down, and the process ends.
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        came, lost = next(tries)
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([came, lost]), flush=True)
    os._exit(0)  # threads that hang do not keep it


def in_a_process(name, n_tries, seed):
    """Return the tries of a kind, and how its process ended if not well."""
    command = [sys.executable, __file__, "--fault", name, "--tries", str(n_tries)]
    command += ["--seed", str(seed), "--here"]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, start_new_session=True
        )
        try:
            code = process.wait(SECONDS * (n_tries + 2))
        except subprocess.TimeoutExpired:
            code = "nothing: it hung"
        try:  # its own children too
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        lines, messages = (f.seek(0) or f.read() for f in (output, errors))
    tries = [json.loads(line) for line in lines.splitlines() if line[:1] == "["]
    if len(tries) < n_tries:
        tries.append([True, f"the process ended with {code}"])
    if any(lost for _, lost in tries):
        sys.stderr.write(messages[-3000:])
    return tries


def main():
    """Print a table of what was tried, how often, and what was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--tries", type=int, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        try_one_kind(args.fault, args.tries, args.seed)
    print("| what happens | tries | came in time | lost |\n|---|---|---|---|")
    for name in [args.fault] if args.fault else FAULTS:
        what, _, n_tries = FAULTS[name]
        tries = in_a_process(name, args.tries or n_tries, args.seed)
        n_came = sum(came for came, _ in tries)
        losses = [lost for _, lost in tries if lost]
        lost = f"{len(losses)}: {'; '.join(sorted({*losses}))}" if losses else "nothing"
        print(f"| {what} | {len(tries)} | {n_came} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
