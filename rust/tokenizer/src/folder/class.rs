//! Which tokenizer class a folder has: the names of transformers, and what each class means by itself.

use serde_json::Value;

use super::files::Files;
use super::settings::{Settings, Spec, NAMES};
use crate::guard::Failure;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    Bert,
    MpNet,
    Gpt2,
    CodeGen,
    Roberta,
    Qwen2,
    GptNeoX,
    Deberta,
    Blenderbot,
    Esm,
    T5,
    Albert,
    XlmRoberta,
    Camembert,
    MBart,
    MBart50,
    Nllb,
    DebertaV2,
    Pegasus,
    BigBird,
    Xglm,
    Llama,
    /// Llama's class as generation 4 has it, for the folders that generation 5 gives its generic class.
    LlamaFour,
    Gemma,
    Marian,
    M2m100,
}

/// The class of a folder: its name, and which of ours it is; `refused` where no pipeline of the crate can be exact.
pub struct Choice {
    pub name: String,
    pub class: Option<Class>,
    pub refused: Option<&'static str>,
}

fn by_name(name: &str) -> Option<Class> {
    Some(match name {
        "BertTokenizer"
        | "DistilBertTokenizer"
        | "ElectraTokenizer"
        | "MobileBertTokenizer"
        | "SqueezeBertTokenizer"
        | "ConvBertTokenizer"
        | "LayoutLMTokenizer"
        | "LxmertTokenizer"
        | "DPRQuestionEncoderTokenizer"
        | "DPRContextEncoderTokenizer" => Class::Bert,
        "MPNetTokenizer" => Class::MpNet,
        "GPT2Tokenizer" => Class::Gpt2,
        "CodeGenTokenizer" => Class::CodeGen,
        "RobertaTokenizer" | "BartTokenizer" | "LongformerTokenizer" | "LEDTokenizer" | "MvpTokenizer" => {
            Class::Roberta
        }
        "Qwen2Tokenizer" => Class::Qwen2,
        "GPTNeoXTokenizer" => Class::GptNeoX,
        "DebertaTokenizer" => Class::Deberta,
        "BlenderbotTokenizer" => Class::Blenderbot,
        "EsmTokenizer" => Class::Esm,
        "T5Tokenizer" | "MT5Tokenizer" => Class::T5,
        "AlbertTokenizer" => Class::Albert,
        "XLMRobertaTokenizer" => Class::XlmRoberta,
        "CamembertTokenizer" => Class::Camembert,
        "MBartTokenizer" => Class::MBart,
        "MBart50Tokenizer" => Class::MBart50,
        "NllbTokenizer" => Class::Nllb,
        "DebertaV2Tokenizer" => Class::DebertaV2,
        "PegasusTokenizer" => Class::Pegasus,
        "BigBirdTokenizer" => Class::BigBird,
        "XGLMTokenizer" => Class::Xglm,
        "LlamaTokenizer" => Class::Llama,
        "GemmaTokenizer" => Class::Gemma,
        "MarianTokenizer" => Class::Marian,
        "M2M100Tokenizer" => Class::M2m100,
        _ => return None,
    })
}

/// The class of a model whose folder names none.
fn by_model_type(model_type: &str) -> Option<&'static str> {
    Some(match model_type {
        "bert" | "distilbert" | "electra" | "nomic_bert" | "megatron-bert" | "ernie" | "convbert" | "mobilebert"
        | "squeezebert" | "layoutlm" | "lxmert" => "BertTokenizer",
        "mpnet" => "MPNetTokenizer",
        "gpt2" | "gpt_bigcode" | "gpt_neo" | "gptj" | "codegen" | "opt" | "phi" | "starcoder2" | "granite"
        | "granitemoe" | "exaone4" => "GPT2Tokenizer",
        "roberta" | "roberta-prelayernorm" | "data2vec-text" | "bart" | "longformer" | "led" => "RobertaTokenizer",
        "qwen2" | "qwen2_moe" | "qwen3" | "qwen3_moe" => "Qwen2Tokenizer",
        "gpt_neox" | "mpt" | "olmo" | "olmo2" | "olmoe" | "stablelm" => "GPTNeoXTokenizer",
        "deberta" => "DebertaTokenizer",
        "blenderbot" => "BlenderbotTokenizer",
        "esm" => "EsmTokenizer",
        "t5" | "mt5" | "umt5" => "T5Tokenizer",
        "albert" => "AlbertTokenizer",
        "xlm-roberta" | "xlm-roberta-xl" | "jina_embeddings_v3" => "XLMRobertaTokenizer",
        "camembert" => "CamembertTokenizer",
        "mbart" => "MBartTokenizer",
        "deberta-v2" => "DebertaV2Tokenizer",
        "pegasus" => "PegasusTokenizer",
        "big_bird" => "BigBirdTokenizer",
        "xglm" => "XGLMTokenizer",
        "llama" | "mistral" | "ministral" | "mixtral" | "phi3" | "persimmon" | "arcee" | "deepseek_v3" | "ernie4_5" => {
            "LlamaTokenizer"
        }
        "gemma" | "gemma2" | "gemma3" | "gemma3_text" => "GemmaTokenizer",
        "marian" => "MarianTokenizer",
        "m2m_100" => "M2M100Tokenizer",
        "roformer" => "RoFormerTokenizer",
        "biogpt" => "BioGptTokenizer",
        "blenderbot-small" => "BlenderbotSmallTokenizer",
        _ => return None,
    })
}

/// Models whose class generation 5 replaces by its generic one, which forgets the space that Llama's class puts before a
/// text.
const GENERIC_IN_FIVE: [&str; 6] = ["mistral", "ministral", "mixtral", "phi3", "persimmon", "ernie4_5"];

impl Choice {
    pub fn of(settings: &Settings, files: &Files) -> Result<Self, Failure> {
        let config = files.object("config.json")?.unwrap_or_default();
        let member = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let model_type = member("model_type");
        let declared = settings.string("tokenizer_class")?.unwrap_or_else(|| member("tokenizer_class"));
        let mut name = declared.strip_suffix("Fast").unwrap_or(&declared).to_owned();
        let named = !name.is_empty();
        if !named {
            name = by_model_type(&model_type).unwrap_or_default().to_owned();
        }
        if model_type == "qwen2" && named {
            name = "Qwen2Tokenizer".into(); // as generation 5 does: checkpoints name other classes by mistake
        }
        let mut class = by_name(&name);
        if class == Some(Class::Llama) && (!named || GENERIC_IN_FIVE.contains(&model_type.as_str())) {
            class = Some(Class::LlamaFour);
        }
        let refused = match name.as_str() {
            "RoFormerTokenizer" => Some("it cuts words with jieba"),
            "BertJapaneseTokenizer" => Some("it cuts words with MeCab or Sudachi"),
            "BioGptTokenizer" => Some("it cuts words with Moses' rules"),
            _ => None,
        };
        Ok(Self { name, class, refused })
    }
}

fn mask(content: &str) -> Spec {
    Spec { content: content.into(), lstrip: Some(true), ..Spec::default() }
}

/// The class's own token of each of `NAMES`.
fn default(class: Class, name: &str) -> Option<Spec> {
    let roberta = ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"];
    let deberta = ["[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"];
    let text = "<|endoftext|>";
    let row = match class {
        Class::Bert => ["", "", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
        Class::MpNet => ["<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"],
        Class::Gpt2 | Class::CodeGen => [text, text, text, "", "", "", ""],
        Class::Qwen2 => ["", text, text, "", text, "", ""],
        Class::GptNeoX => [text, text, text, "", "<|padding|>", "", ""],
        Class::Roberta | Class::Blenderbot | Class::XlmRoberta | Class::Camembert | Class::MBart | Class::Nllb => {
            roberta
        }
        Class::MBart50 => ["", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"],
        Class::Deberta | Class::DebertaV2 => deberta,
        Class::Esm => ["", "<eos>", "<unk>", "", "<pad>", "<cls>", "<mask>"],
        Class::T5 => ["", "</s>", "<unk>", "", "<pad>", "", ""],
        Class::Albert => ["[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"],
        Class::Pegasus => ["", "</s>", "<unk>", "", "<pad>", "", "<mask_2>"],
        Class::BigBird => ["<s>", "</s>", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"],
        Class::Xglm | Class::M2m100 => ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", ""],
        Class::Llama | Class::LlamaFour => ["<s>", "</s>", "<unk>", "", "", "", ""],
        Class::Gemma => ["<bos>", "<eos>", "<unk>", "", "<pad>", "", "<mask>"],
        Class::Marian => ["", "</s>", "<unk>", "", "<pad>", "", ""],
    };
    let content = row[NAMES.iter().position(|known| *known == name)?];
    let strips_before = matches!(
        class,
        Class::MpNet
            | Class::Blenderbot
            | Class::Camembert
            | Class::MBart
            | Class::MBart50
            | Class::Nllb
            | Class::BigBird
    );
    match content {
        "" => None,
        _ if name == "mask_token" && class == Class::Nllb => Some(Spec { normalized: Some(true), ..mask(content) }),
        _ if name == "mask_token" && strips_before => Some(mask(content)),
        _ => Some(Spec::plain(content)),
    }
}

/// The named tokens of a class in the order of `NAMES`, as the folder overrides them, and the model's own after them.
pub struct Tokens {
    named: [Option<Spec>; NAMES.len()],
    own: Vec<Spec>,
}

impl Tokens {
    pub fn of(class: Option<Class>, settings: &Settings) -> Self {
        let named = NAMES.map(|name| settings.token(name, class.and_then(|class| default(class, name))));
        Self { named, own: settings.own_tokens().cloned().collect() }
    }

    /// The content of a token such as `cls_token`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.named[at].as_ref().map(|spec| spec.content.as_str())
    }

    /// The content of a token that the class cannot do without.
    pub fn need(&self, name: &str) -> Result<&str, Failure> {
        match self.get(name) {
            Some(content) => Ok(content),
            None => super::files::refuse("tokenizer_config.json", format!("{name} is null, expected a token")),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Spec> {
        self.named.iter().flatten().chain(&self.own)
    }
}
