"""Runs as datasets of torch, which is imported when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np

from .arrays import need

if TYPE_CHECKING:
    from .run import Run
    from .run_batches import RunBatches


class RunIterable:
    """Batches of a run: dicts of tensors. The workers of a DataLoader take shares of the blocks."""

    def __init__(self, batches: RunBatches) -> None:
        self.batches = batches

    def set_epoch(self, epoch: int) -> None:
        """Another order. Workers that live on from pass to pass (persistent_workers) do not hear of it."""
        self.batches.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        torch = need("torch", "torch_batches")
        worker = torch.utils.data.get_worker_info()
        mine = self.batches if worker is None else self.batches.shared(worker.id, worker.num_workers)
        for batch in mine:
            yield {name: torch.from_numpy(values) for name, values in batch.items()}

    def __reduce__(self) -> Any:
        return iterable_dataset, (self.batches,)


class RunRows:
    """Rows of a run: dicts of tensors."""

    def __init__(self, run: Run, sites: str | Sequence[str] | None) -> None:
        self._run, self._sites = run, run.chosen(sites)

    def __len__(self) -> int:
        return len(self._run)

    def __getitem__(self, place: int) -> dict[str, Any]:
        torch = need("torch", "torch_dataset")
        shard, index = self._run.locate(place)
        item: dict[str, Any] = {"row": int(shard.numbers[index])}
        for stack in self._run.stacks:
            ends = shard.array(f"{stack}offsets")
            ids = shard.array(f"{stack}input_ids")[ends[index] : ends[index + 1]]
            item[f"{stack}input_ids"] = torch.from_numpy(np.array(ids, np.int64))
        for site in self._sites:
            values = np.array(site.of(shard, index, raw=True))  # a copy: torch takes no memory that is only to be read
            bf16 = shard.is_bf16(site.name)
            tensor = torch.from_numpy(values.view(np.int16) if bf16 else values)
            item[site.name] = tensor.view(torch.bfloat16) if bf16 else tensor
        return item

    def __reduce__(self) -> Any:
        return map_dataset, (self._run, [site.name for site in self._sites])


def _dataset(kind: type, base: str, what: str, *arguments: Any) -> Any:
    torch = need("torch", what)
    return type(kind.__name__, (kind, getattr(torch.utils.data, base)), {"__doc__": kind.__doc__})(*arguments)


def iterable_dataset(batches: RunBatches) -> Any:
    """An IterableDataset of RunBatches."""
    return _dataset(RunIterable, "IterableDataset", "torch_batches", batches)


def map_dataset(run: Run, sites: str | Sequence[str] | None) -> Any:
    """A Dataset of rows."""
    return _dataset(RunRows, "Dataset", "torch_dataset", run, sites)
