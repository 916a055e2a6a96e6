#include "cli/option_table.h"

#include <algorithm>
#include <array>

namespace layerscope::cli {
namespace {

constexpr std::uint32_t bit(Command command) { return 1U << static_cast<unsigned>(command); }
constexpr std::uint32_t kInspect = bit(Command::kInspect);
constexpr std::uint32_t kTokenize = bit(Command::kTokenize);
constexpr std::uint32_t kStates = bit(Command::kStates);
constexpr std::uint32_t kEmbed = bit(Command::kEmbed);
constexpr std::uint32_t kSearch = bit(Command::kSearch);
constexpr std::uint32_t kCluster = bit(Command::kCluster);
constexpr std::uint32_t kLogits = bit(Command::kLogits);
constexpr std::uint32_t kLens = bit(Command::kLens);
constexpr std::uint32_t kGenerate = bit(Command::kGenerate);
constexpr std::uint32_t kDiff = bit(Command::kDiff);
constexpr std::uint32_t kSimilarity = bit(Command::kSimilarity);
constexpr std::uint32_t kProbe = bit(Command::kProbe);
constexpr std::uint32_t kVerify = bit(Command::kVerify);
constexpr std::uint32_t kExport = bit(Command::kExport);
constexpr std::uint32_t kScoring = kLogits | kLens;
constexpr std::uint32_t kReading = kTokenize | kStates | kEmbed | kScoring | kGenerate | kSimilarity;
constexpr std::uint32_t kPooling = kStates | kEmbed | kGenerate;
constexpr std::uint32_t kRunning = kPooling | kLogits;  // write run folders
constexpr std::uint32_t kEditing = kStates | kScoring | kGenerate;
constexpr std::uint32_t kChatting = kTokenize | kStates | kScoring | kGenerate;
constexpr std::uint32_t kObserving = kStates | kGenerate;
constexpr std::uint32_t kWorking = kInspect | kReading | kSearch | kCluster | kDiff | kProbe | kVerify | kExport;
constexpr std::uint32_t kEvery = kWorking | bit(Command::kCompletion) | bit(Command::kMan);

constexpr std::array kCommands{
    CommandRow{Command::kInspect, "inspect", "MODEL", "what a model is: its blocks, shapes, tensors and sites",
               "Reads config.json and the names and shapes of the checkpoint; no weights are loaded. Prints the block\n"
               "program that the engine runs, every site that can be observed, and the tensor behind every slot.",
               "layerscope inspect models/all-MiniLM-L6-v2\n"
               "layerscope inspect models/all-MiniLM-L6-v2 --json"},
    CommandRow{
        Command::kTokenize, "tokenize", "MODEL [TEXT...]", "what a model really reads: ids, tokens, offsets",
        "Shows the tokens of every text with their ids, types and places in the text. Offsets count code points\n"
        "of the original text; tokens that the tokenizer added itself have none.",
        "layerscope tokenize models/all-MiniLM-L6-v2 \"Layer by layer\"\n"
        "layerscope tokenize models/all-MiniLM-L6-v2 -i texts.jsonl --json"},
    CommandRow{
        Command::kStates, "states", "MODEL [TEXT...]", "hidden states: a picture, JSON lines, or a run folder",
        "Without -o the states are drawn on the terminal, tokens down and layers across; with --json they are\n"
        "printed, one object a row. With -o they are stored in a run folder: the same command on the same folder\n"
        "goes on where an interrupted one stopped.",
        "layerscope states models/all-MiniLM-L6-v2 \"The bank of the river\"\n"
        "layerscope states models/all-MiniLM-L6-v2 -i texts.txt -o run --layers 0,-1\n"
        "layerscope states models/all-MiniLM-L6-v2 -i texts.txt -o run --pool mean --save-dtype f16"},
    CommandRow{
        Command::kEmbed, "embed", "MODEL [TEXT...]", "one vector a text, as the folder's authors meant it",
        "Reads a sentence-transformers folder as it is: prompts, length limit, pooling, Dense, LayerNorm and\n"
        "Normalize modules. A folder without modules.json is pooled by its mean, a causal language model by its\n"
        "last token. Without -o the texts are compared on the terminal; with --json every vector is printed. With\n"
        "-o FILE.npy the vectors become one array, with any other -o a run folder that can be resumed.",
        "layerscope embed models/all-MiniLM-L6-v2 \"a cat\" \"a kitten\" \"a treaty\"\n"
        "layerscope embed models/all-MiniLM-L6-v2 -i texts.txt -o vectors.npy\n"
        "layerscope embed models/all-MiniLM-L6-v2 -i texts.txt -o vectors\n"
        "layerscope embed models/all-MiniLM-L6-v2 \"a cat\" --layer 4 --pool max --json"},
    CommandRow{
        Command::kSearch, "search", "RUN [QUERY...]", "the nearest rows of an embedded corpus, exactly",
        "RUN is a run folder of vectors or a .npy of them. A query is a text, embedded as the run says, or a row of a\n"
        ".npy given with -i. Scores are float64 sums, greater is nearer, equal ones rank by row; nothing is\n"
        "approximate. Vectors of int8, uint8 and packed bits give candidates that are then ranked by the float\n"
        "query.",
        "layerscope search vectors \"who wrote it?\" --texts texts.txt\n"
        "layerscope search vectors.npy -i queries.npy --top-k 100 --json\n"
        "layerscope search bits.npy -i queries.npy --oversample 8 --rescore vectors.npy"},
    CommandRow{
        Command::kCluster, "cluster", "RUN",
        "vectors in groups: sizes, what is nearest to each centre, how far they are apart",
        "k-means over the vectors of embed -o, or of any site that holds one vector a row (states --pool). The same\n"
        "rows, -k and --seed give the same clusters on every machine and any number of threads. Vectors that their\n"
        "folder compares by cosine are brought to length 1 first. Without --texts rows are shown by their numbers.",
        "layerscope cluster vectors -k 8 --texts texts.txt\n"
        "layerscope cluster vectors.npy -k 8 -o labels.npy --json\n"
        "layerscope cluster run -k 8 --site final --seed 7"},
    CommandRow{
        Command::kLogits, "logits", "MODEL [TEXT...]", "scores over the vocabulary: what follows, or fills a mask",
        "Without -o the most likely tokens are shown with their probabilities: after every position, or, for a masked\n"
        "language model, at every mask; with entropy, the true next token's probability and rank, and perplexity.\n"
        "With --json every position is printed; with -o RUN every score is stored, or only the K best with --top-k.",
        "layerscope logits models/causal \"The capital of France is\"\n"
        "layerscope logits models/causal -i texts.txt --json\n"
        "layerscope logits models/causal -i texts.txt -o run --top-k 20"},
    CommandRow{
        Command::kLens, "lens", "MODEL [TEXT...]", "what each layer would predict",
        "Applies the model's final norm and its head to every layer's states: positions across, layers down, the most\n"
        "likely token in each cell, coloured by its probability. --html FILE writes a page to look around in. With\n"
        "--train a tuned lens is made of a run folder (layerscope lens MODEL --train RUN -o LENS) or of texts (-i).",
        "layerscope lens models/causal \"The capital of France is\"\n"
        "layerscope lens models/causal \"The capital of France is\" --html lens.html\n"
        "layerscope lens models/causal --train -i texts.txt -o causal.lens\n"
        "layerscope lens models/causal \"The capital of France is\" --lens causal.lens"},
    CommandRow{
        Command::kGenerate, "generate", "MODEL [PROMPT...]",
        "text that goes on behind prompts, with the states of every step",
        "Takes the most likely token at each step, or samples with --temperature. What generation_config.json of\n"
        "the folder says about lengths, forced tokens, penalties and cuts holds unless a flag says otherwise; its\n"
        "temperature does not. Without -o the text is printed as it comes; with --json one object a row. With -o\n"
        "prompts, outputs and states are stored in a run folder. Rows run together and leave as they end: what one\n"
        "becomes does not depend on the others.",
        "layerscope generate models/my-model \"Once upon a time\" --max-new-tokens 40\n"
        "layerscope generate models/my-model -i prompts.txt --temperature 0.8 --top-p 0.95 --seed 7 --json\n"
        "layerscope generate models/my-model -i prompts.jsonl -o run --layers 0,-1 --last-state"},
    CommandRow{
        Command::kDiff, "diff", "A B [TEXT...]", "where two runs, models or engines part, layer by layer, and why",
        "A and B are model folders, run folders, or reference dumps of another engine (.safetensors, .npz). Token ids\n"
        "come first, then every layer, then every block by itself: run on the other side's input, so that the error\n"
        "it makes stands apart from the one it inherits. What counts is above the noise floor, the distance of honest\n"
        "runs, which is measured; --tol sets a limit instead. The exit status is 6 where there is a difference.",
        "layerscope diff models/my-model reference.safetensors\n"
        "layerscope diff models/my-model models/my-model \"Layer by layer\" --dtype-b bf16\n"
        "layerscope diff run other-run --tol 1e-4 --json"},
    CommandRow{
        Command::kSimilarity, "similarity", "A [B]", "how alike layers are: CKA, RSA, cosines, norms, ranks",
        "A and B are run folders of states, or models that read the rows of -i, of which nothing is stored. Draws\n"
        "the linear CKA and the rank correlation of dissimilarities of every two layers of A, or of A's with B's,\n"
        "and gives each layer's mean norm, cosine to the layer before, effective rank and anisotropy. B reads the\n"
        "same rows; models that cut texts into other tokens go together with --pool mean.",
        "layerscope similarity models/all-MiniLM-L6-v2 -i texts.txt\n"
        "layerscope similarity run other-run --html similarity.html\n"
        "layerscope similarity models/one models/other -i texts.txt --pool mean --json"},
    CommandRow{
        Command::kProbe, "probe", "RUN|MODEL [TEXT...]", "what each layer knows: linear probes, layer by layer",
        "A linear model learns labels from the states of each layer and is scored on rows that it has not seen:\n"
        "cross-validated, with intervals, a control task of random labels and the length of the labels' code. States\n"
        "come from a run folder, or straight from a model that reads -i FILE (without it, the texts of the label\n"
        "file). Labels belong to rows, words, spans or tokens (docs/probe.md).",
        "layerscope probe models/all-MiniLM-L6-v2 --labels examples/probing/pos.jsonl\n"
        "layerscope probe run --labels pos.jsonl --texts texts.jsonl --layers 0..6 --json\n"
        "layerscope probe models/all-MiniLM-L6-v2 -i texts.txt --labels topics.txt --pool mean --html probe.html"},
    CommandRow{
        Command::kVerify, "verify", "RUN", "whether a run folder holds what was written",
        "Reads every byte of a run folder and checks manifest, journal, sizes and hashes. An incomplete run whose\n"
        "shards are sound is no damage.",
        "layerscope verify run\n"
        "layerscope verify run --json"},
    CommandRow{
        Command::kExport, "export", "RUN", "a run folder as npy, npz, safetensors, fvecs or a dataset",
        "Writes all rows of a run, parts joined and ordered by row: npy makes a folder with one file a tensor, npz\n"
        "and safetensors one file, hf-dataset a folder of Arrow files that datasets.load_from_disk opens, one column\n"
        "a site. bfloat16 becomes float32 in all but safetensors. fvecs takes one site of vectors: each as its int32\n"
        "width and float32 elements.",
        "layerscope export run --to npz -o states.npz\n"
        "layerscope export run --to hf-dataset --texts texts.txt -o dataset\n"
        "layerscope export vectors --to fvecs -o vectors.fvecs"},
    CommandRow{Command::kCompletion, "completion", "bash|zsh|fish", "a completion script for a shell",
               "Prints a script that completes commands, flags and their values.",
               "source <(layerscope completion bash)\n"
               "layerscope completion fish > ~/.config/fish/completions/layerscope.fish"},
    CommandRow{Command::kMan, "man", "", "the manual page", "Prints the manual page as troff.",
               "layerscope man | man -l -"},
};

constexpr std::array kFlags{
    FlagRow{Flag::kInput, FlagGroup::kInput, kReading | kSearch | kDiff | kProbe, "-i", "--input", "FILE", "", "",
            "read rows from FILE: one text a line, or one JSON object a line (.jsonl); - is stdin"},
    FlagRow{Flag::kInputFormat, FlagGroup::kInput, kReading | kSearch | kDiff | kProbe, "", "--input-format", "FORMAT",
            "text|jsonl", "text", "what stdin holds"},
    FlagRow{Flag::kOnBad, FlagGroup::kInput, kReading | kSearch | kProbe, "", "--on-bad", "ACTION", "stop|skip", "stop",
            "what to do with a row that cannot be processed"},
    FlagRow{Flag::kOnLong, FlagGroup::kInput, kReading | kDiff | kProbe, "", "--on-long", "ACTION", "error|truncate",
            "error; embed: truncate", "what to do with a text that is too long"},
    FlagRow{Flag::kMaxLength, FlagGroup::kInput, kReading | kDiff | kProbe, "", "--max-length", "N", "",
            "what the model can read", "most tokens of a row, special tokens included"},
    FlagRow{Flag::kNoSpecialTokens, FlagGroup::kInput, kReading | kDiff | kProbe, "", "--no-special-tokens", "", "", "",
            "leave out [CLS], [SEP], BOS and the like"},
    FlagRow{
        Flag::kChat, FlagGroup::kInput, kChatting, "", "--chat", "", "", "",
        "rows are conversations, written by the model's chat template: a text is the user's message, \"messages\" of "
        "a .jsonl all of them"},
    FlagRow{Flag::kSystem, FlagGroup::kInput, kChatting, "", "--system", "TEXT", "", "",
            "a system message before every text of --chat"},
    FlagRow{Flag::kChatTemplate, FlagGroup::kInput, kChatting, "", "--chat-template", "NAME", "", "default",
            "one of several chat templates"},
    FlagRow{Flag::kChatDate, FlagGroup::kInput, kChatting, "", "--chat-date", "YYYY-MM-DD", "", "",
            "today's date for chat templates that write it"},
    FlagRow{Flag::kLayers, FlagGroup::kObserve, kObserving | kLens | kDiff | kSimilarity | kProbe, "", "--layers",
            "LIST", "", "all",
            "layers as transformers counts them: 0 the embedding, k after block k, -1 the last; 0..6, all, enc:LIST, "
            "dec:LIST"},
    FlagRow{Flag::kSites, FlagGroup::kObserve, kObserving | kDiff | kProbe, "", "--sites", "LIST", "", "",
            "sites by name, with globs: block.*.mlp.out,final (inspect lists them)"},
    FlagRow{Flag::kPositions, FlagGroup::kObserve, kObserving | kScoring | kSimilarity, "", "--positions", "LIST", "",
            "all", "all, first, last, positions such as 0,1,-1, or sample:K"},
    FlagRow{Flag::kPool, FlagGroup::kObserve, kPooling | kSimilarity | kProbe, "", "--pool", "HOW",
            "none|cls|mean|max|mean_sqrt|weightedmean|last", "none; embed: the folder's; probe: mean",
            "one vector a row instead of one a token; probe: where rows are labelled"},
    FlagRow{Flag::kMix, FlagGroup::kObserve, kPooling, "", "--mix", "WEIGHTS", "", "",
            "one weighted sum of layers: 4=0.5,8=0.5, or 0..12 for their mean; states stores it as the site mix"},
    FlagRow{Flag::kSeed, FlagGroup::kObserve, kObserving | kScoring | kCluster | kSimilarity | kProbe, "", "--seed",
            "N", "", "0",
            "seed of sample:K, of what generate draws, of the rows that cluster begins with, of vectors that "
            "similarity draws, and of probe's folds"},
    FlagRow{
        Flag::kEdit, FlagGroup::kObserve, kEditing, "", "--edit", "EDIT", "", "",
        "change the stream: SITE:add|set|scale[:POSITIONS]=VECTORS, as block.3.out:add=2*steer.npy; may be repeated",
        true},
    FlagRow{Flag::kEdits, FlagGroup::kObserve, kEditing, "", "--edits", "FILE", "", "",
            "a JSON list of edits, which come before those of --edit"},
    FlagRow{Flag::kLens, FlagGroup::kObserve, kLens, "", "--lens", "LENS", "", "",
            "a tuned lens that --train made: its maps are applied before the final norm"},
    FlagRow{Flag::kTrain, FlagGroup::kObserve, kLens, "", "--train", "", "", "",
            "make a tuned lens of a run folder given in TEXT's place, or of the rows of -i"},
    FlagRow{Flag::kLastState, FlagGroup::kObserve, kGenerate, "", "--last-state", "", "", "",
            "run the last chosen token too, so that it has states (only together with -o)"},
    FlagRow{Flag::kMaxNewTokens, FlagGroup::kChoice, kGenerate, "", "--max-new-tokens", "N", "", "128",
            "tokens after which a row ends"},
    FlagRow{Flag::kTemperature, FlagGroup::kChoice, kGenerate, "", "--temperature", "T", "", "0",
            "0 takes the most likely token; above, tokens are drawn from the scores divided by T"},
    FlagRow{Flag::kTopP, FlagGroup::kChoice, kGenerate, "", "--top-p", "P", "", "the folder's",
            "draw from the most likely tokens that hold P of the probability together; 1: from all"},
    FlagRow{Flag::kMinP, FlagGroup::kChoice, kGenerate, "", "--min-p", "P", "", "the folder's",
            "leave out tokens below P times the probability of the most likely one"},
    FlagRow{Flag::kRepetitionPenalty, FlagGroup::kChoice, kGenerate, "", "--repetition-penalty", "X", "",
            "the folder's", "divide scores above 0 of tokens that the row holds already by X, multiply those below"},
    FlagRow{Flag::kIgnoreEos, FlagGroup::kChoice, kGenerate, "", "--ignore-eos", "", "", "",
            "an end token is a token like any other"},
    FlagRow{Flag::kStop, FlagGroup::kChoice, kGenerate, "", "--stop", "TEXT", "", "",
            "end a row where its text holds TEXT, and leave TEXT out; may be repeated", true},
    FlagRow{Flag::kLayer, FlagGroup::kVector, kEmbed, "", "--layer", "K", "", "the last",
            "the layer that is pooled: 0 the embedding, k after block k, -1 the last"},
    FlagRow{Flag::kPrompt, FlagGroup::kVector, kEmbed | kSearch, "", "--prompt", "TEXT", "", "the folder's default",
            "text put before every text"},
    FlagRow{Flag::kPromptName, FlagGroup::kVector, kEmbed | kSearch, "", "--prompt-name", "NAME", "", "",
            "a prompt of config_sentence_transformers.json"},
    FlagRow{Flag::kVectors, FlagGroup::kVector, kEmbed, "", "--vectors", "KIND", "dense|tokens|sparse", "the folder's",
            "one vector a text, one a token (ColBERT), or one weight a vocabulary entry (SPLADE)"},
    FlagRow{Flag::kTask, FlagGroup::kVector, kEmbed, "", "--task", "TASK", "query|document", "none; tokens: document",
            "what the texts are, for folders that read queries and documents differently"},
    FlagRow{Flag::kTruncateDim, FlagGroup::kVector, kEmbed, "", "--truncate-dim", "N", "", "the folder's",
            "keep the first N elements of a vector (it is not normalized again without --normalize)"},
    FlagRow{Flag::kNormalize, FlagGroup::kVector, kEmbed | kCluster, "", "--normalize", "", "",
            "cluster: if their folder compares by cosine", "bring every vector to length 1 at the end"},
    FlagRow{Flag::kNoNormalize, FlagGroup::kVector, kEmbed | kCluster, "", "--no-normalize", "", "", "",
            "leave out the folder's Normalize module; cluster: take vectors as they are"},
    FlagRow{Flag::kPrecision, FlagGroup::kVector, kEmbed, "", "--precision", "TYPE",
            "float32|int8|uint8|binary|ubinary", "float32",
            "quantize a .npy as sentence-transformers does; int8 and uint8 take their ranges from the vectors written"},
    FlagRow{Flag::kMetric, FlagGroup::kCorpus, kSearch, "", "--metric", "HOW", "cosine|dot|euclidean",
            "what the run says, or cosine", "how vectors are compared; distances count as negative"},
    FlagRow{Flag::kClusters, FlagGroup::kCorpus, kCluster, "-k", "--clusters", "N", "", "", "how many clusters"},
    FlagRow{Flag::kMaxIterations, FlagGroup::kCorpus, kCluster, "", "--max-iterations", "N", "", "300",
            "stop after N rounds although rows still change their cluster"},
    FlagRow{Flag::kNearest, FlagGroup::kCorpus, kCluster, "", "--nearest", "N", "", "3",
            "rows to show of every cluster, those nearest its centre"},
    FlagRow{Flag::kSite, FlagGroup::kCorpus, kSearch | kCluster | kExport, "", "--site", "NAME", "",
            "embedding, or the only one", "the site whose vectors are taken, one a row; export: only for fvecs"},
    FlagRow{Flag::kRows, FlagGroup::kCorpus, kSimilarity, "", "--rows", "N", "", "all",
            "draw N vectors and compare those alone: layers too wide for products of every two of them"},
    FlagRow{
        Flag::kModel, FlagGroup::kCorpus, kSearch | kProbe, "", "--model", "MODEL", "", "the run's",
        "the model that embeds the queries or tokenised the texts: where the run's has moved to, or that of a .npy"},
    FlagRow{Flag::kTexts, FlagGroup::kCorpus, kSearch | kCluster | kProbe | kExport, "", "--texts", "FILE", "", "",
            "the rows' texts: the file that the run was made from; export: only for hf-dataset"},
    FlagRow{
        Flag::kRescore, FlagGroup::kCorpus, kSearch, "", "--rescore", "BY", "", "the stored rows",
        "how candidates from an int8, uint8, binary or ubinary .npy are ranked: by the float32 vectors of a .npy or "
        "run, or none"},
    FlagRow{Flag::kOversample, FlagGroup::kCorpus, kSearch, "", "--oversample", "M", "", "2",
            "take M times as many candidates as rows are wanted"},
    FlagRow{Flag::kLabels, FlagGroup::kLearning, kProbe, "", "--labels", "FILE", "", "",
            "the labels: .jsonl, .tsv, or one a line"},
    FlagRow{Flag::kLabelKey, FlagGroup::kLearning, kProbe, "", "--label-key", "KEY", "", "label, labels or spans",
            "the JSON key or the column that holds the labels"},
    FlagRow{Flag::kAlign, FlagGroup::kLearning, kProbe, "", "--align", "HOW", "first|last|mean", "first",
            "the vector of a labelled word: that of its first or last token, or the mean of all"},
    FlagRow{Flag::kProbeTask, FlagGroup::kLearning, kProbe, "", "--task", "TASK", "classify|regress",
            "as the labels are", "whether labels are classes or numbers to predict"},
    FlagRow{Flag::kProbeMetric, FlagGroup::kLearning, kProbe, "", "--metric", "SCORE", "accuracy|f1|r2",
            "accuracy; numbers: r2", "what is scored on the held-out rows; f1 is the mean over classes"},
    FlagRow{Flag::kFolds, FlagGroup::kLearning, kProbe, "", "--folds", "N", "", "5",
            "parts of the rows, each of which is held out once"},
    FlagRow{Flag::kNoControl, FlagGroup::kLearning, kProbe, "", "--no-control", "", "", "",
            "leave out the control task, and with it selectivity"},
    FlagRow{Flag::kNoMdl, FlagGroup::kLearning, kProbe, "", "--no-mdl", "", "", "",
            "leave out the length of the labels' code"},
    FlagRow{Flag::kScalarMix, FlagGroup::kLearning, kProbe, "", "--scalar-mix", "", "", "",
            "learn a weighted sum of the layers together with a probe, and show the weights"},
    FlagRow{
        Flag::kTopK, FlagGroup::kOutput, kSearch | kScoring | kGenerate, "", "--top-k", "N", "",
        "5; search: 10; logits -o: every score; generate: the folder's",
        "how many tokens of a prediction, or rows of a search, to give; generate: draw from the N likeliest, 0: all"},
    FlagRow{Flag::kOutput, FlagGroup::kOutput, kRunning | kCluster | kLens | kExport, "-o", "--output", "PATH", "", "",
            "where to write: the run folder, a .npy of embed, labels as .npy or .jsonl, the lens, or the exported file "
            "or folder"},
    FlagRow{Flag::kSaveDtype, FlagGroup::kOutput, kObserving | kLogits, "", "--save-dtype", "TYPE", "f32|f16|bf16",
            "f32", "type of what is stored"},
    FlagRow{Flag::kShardSize, FlagGroup::kOutput, kRunning | kExport, "", "--shard-size", "SIZE", "",
            "256MiB; hf-dataset: 500MB", "bytes at which a shard closes: 256MiB, 8MB, 1000000"},
    FlagRow{Flag::kShard, FlagGroup::kOutput, kRunning, "", "--shard", "I/N", "", "",
            "only rows with number mod N = I, into part-I; auto/N takes I from a Slurm or Kubernetes array job"},
    FlagRow{Flag::kOverwrite, FlagGroup::kOutput, kRunning | kCluster | kLens | kDiff | kSimilarity | kProbe | kExport,
            "", "--overwrite", "", "", "", "start anew where something exists already"},
    FlagRow{Flag::kDryRun, FlagGroup::kOutput, kRunning, "", "--dry-run", "", "", "",
            "print the plan, its size and the estimated time, and write nothing"},
    FlagRow{Flag::kTo, FlagGroup::kOutput, kExport, "", "--to", "FORMAT", "npy|npz|safetensors|fvecs|hf-dataset", "",
            "format to write"},
    FlagRow{Flag::kAllowIncomplete, FlagGroup::kOutput, kSearch | kCluster | kSimilarity | kDiff | kProbe | kExport, "",
            "--allow-incomplete", "", "", "", "take what an unfinished run or missing parts leave"},
    FlagRow{Flag::kMeasure, FlagGroup::kPicture, kStates, "", "--measure", "WHAT", "norm|step|drift", "norm",
            "colour by a state's norm, its cosine to the layer before (step), or to the embedding (drift)"},
    FlagRow{Flag::kAll, FlagGroup::kPicture, kInspect | kStates | kScoring, "", "--all", "", "", "",
            "fold nothing: every tensor, every token"},
    FlagRow{Flag::kHtml, FlagGroup::kPicture, kLens | kDiff | kSimilarity | kProbe, "", "--html", "FILE", "", "",
            "write the picture as one self-contained page"},
    FlagRow{Flag::kTolerance, FlagGroup::kSides, kDiff, "", "--tol", "X", "", "the noise floor",
            "largest relative difference (L2) of a site that counts as the same; 0: equal bits"},
    FlagRow{Flag::kDtypeA, FlagGroup::kSides, kDiff, "", "--dtype-a", "TYPE", "f32|bf16|f64", "--dtype",
            "as --dtype, of side A alone"},
    FlagRow{Flag::kDtypeB, FlagGroup::kSides, kDiff, "", "--dtype-b", "TYPE", "f32|bf16|f64", "--dtype",
            "as --dtype, of side B alone"},
    FlagRow{Flag::kIsaA, FlagGroup::kSides, kDiff, "", "--isa-a", "NAME", "", "--isa", "as --isa, of side A alone"},
    FlagRow{Flag::kIsaB, FlagGroup::kSides, kDiff, "", "--isa-b", "NAME", "", "--isa", "as --isa, of side B alone"},
    FlagRow{Flag::kDeviceA, FlagGroup::kSides, kDiff, "", "--device-a", "NAME", "cpu|cuda", "--device",
            "as --device, of side A alone"},
    FlagRow{Flag::kDeviceB, FlagGroup::kSides, kDiff, "", "--device-b", "NAME", "cpu|cuda", "--device",
            "as --device, of side B alone"},
    FlagRow{Flag::kEditA, FlagGroup::kSides, kDiff, "", "--edit-a", "EDIT", "", "",
            "change the stream of side A, a model: SITE:add|set|scale[:POSITIONS]=VECTORS; may be repeated", true},
    FlagRow{Flag::kEditB, FlagGroup::kSides, kDiff, "", "--edit-b", "EDIT", "", "",
            "change the stream of side B, a model; may be repeated", true},
    FlagRow{Flag::kThreads, FlagGroup::kMachine, kWorking, "", "--threads", "N", "", "all cores", "worker threads"},
    FlagRow{Flag::kDtype, FlagGroup::kMachine, kWorking, "", "--dtype", "TYPE", "f32|bf16|f64", "f32",
            "type of weights and of the inputs of matrix products; f64, a slow yardstick, only for diff"},
    FlagRow{Flag::kDevice, FlagGroup::kMachine, kWorking, "", "--device", "NAME", "cpu|cuda", "cpu",
            "where to compute"},
    FlagRow{Flag::kIsa, FlagGroup::kMachine, kWorking, "", "--isa", "NAME", "", "the best of the machine",
            "force a lower instruction set (also LAYERSCOPE_ISA)"},
    FlagRow{Flag::kJson, FlagGroup::kMessages, kWorking, "", "--json", "", "", "",
            "print JSON, one object a line; errors too"},
    FlagRow{Flag::kQuiet, FlagGroup::kMessages, kWorking, "-q", "--quiet", "", "", "", "no progress, notes or summary"},
    FlagRow{Flag::kProgress, FlagGroup::kMessages, kRunning, "", "--progress", "HOW", "auto|bar|json|none", "auto",
            "progress on stderr: a bar on terminals, or a JSON line every 10 seconds"},
    FlagRow{Flag::kColor, FlagGroup::kMessages, kWorking, "", "--color", "", "", "",
            "colour even when stdout is no terminal"},
    FlagRow{Flag::kNoColor, FlagGroup::kMessages, kWorking, "", "--no-color", "", "", "",
            "no colour (also NO_COLOR, TERM=dumb)"},
    FlagRow{Flag::kHelp, FlagGroup::kMessages, kEvery, "-h", "--help", "", "", "", "this help"},
};
static_assert(kFlags.size() == kFlagCount);

}  // namespace

std::span<const CommandRow> command_table() noexcept { return kCommands; }
std::span<const FlagRow> flag_table() noexcept { return kFlags; }

const CommandRow& command_row(Command command) noexcept { return kCommands[static_cast<std::size_t>(command)]; }

const CommandRow* find_command(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kCommands, name, &CommandRow::name);
  return found == kCommands.end() ? nullptr : found;
}

const FlagRow& flag_row(Flag flag) noexcept { return kFlags[static_cast<std::size_t>(flag)]; }

std::string_view group_title(FlagGroup group) noexcept {
  switch (group) {
    case FlagGroup::kInput: return "Input";
    case FlagGroup::kObserve: return "What to observe";
    case FlagGroup::kChoice: return "The next token";
    case FlagGroup::kVector: return "The vector";
    case FlagGroup::kCorpus: return "Stored vectors";
    case FlagGroup::kLearning: return "What is learned";
    case FlagGroup::kOutput: return "Output";
    case FlagGroup::kPicture: return "On the terminal";
    case FlagGroup::kSides: return "The two sides";
    case FlagGroup::kMachine: return "Machine";
    case FlagGroup::kMessages: return "Messages";
  }
  return "";
}

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> words;
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    words.push_back(choices.substr(0, bar));
    choices = bar == std::string_view::npos ? std::string_view() : choices.substr(bar + 1);
  }
  return words;
}

}  // namespace layerscope::cli
