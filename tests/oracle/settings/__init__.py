"""Tiny models of every family, a module for each group of families: `MODELS` lists them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tiny:
    """One tiny model. Its name ends in -v4 or -v5, the generation of transformers that writes it."""

    name: str
    architecture: str  # class of transformers: "RobertaModel", "GPTNeoXForCausalLM"
    config: dict
    storage: str = "float32"
    embedding_std: float = 0.3
    lengths: tuple = (1, 2, 9, 40)  # tokens of the rows; with two stacks the source's, the target being shorter
    last: str = ""  # path of the module whose output is the un-normed top; empty: the last of the list of layers
    special_ids: tuple = ()  # ids put into row 2 at tokens 3, 5, ...: padding and mask ids whose meaning matters
    spreads: dict = field(default_factory=dict)  # part of a parameter's name -> (mean, standard deviation)
    kept: tuple = ()  # parts of names of parameters that stay as the model makes them
    rename: tuple = ()  # (regular expression, replacement) of stored names: spellings of old checkpoints
    ends_in_padding: bool = False  # row 1 does: a head may read the last token before it
    in_memory: bool = False  # stored with the names and shapes that transformers 5 holds in memory

    @property
    def generation(self):
        return int(self.name[-1])
