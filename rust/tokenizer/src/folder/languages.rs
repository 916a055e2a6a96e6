//! Language codes around the texts of translation models.

use super::class::{Class, Tokens};
use super::parts::{around, Post};
use super::settings::Settings;
use crate::guard::Failure;

/// The languages of mBART (tokenization_mbart.py), in the order of their ids.
pub const MBART: [&str; 25] = [
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX",
    "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN",
    "zh_CN",
];

/// Those of mBART-50 (tokenization_mbart50.py).
pub const MBART50: [&str; 52] = [
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX",
    "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN",
    "zh_CN", "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN",
    "mn_MN", "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA",
    "ur_PK", "xh_ZA", "gl_ES", "sl_SI",
];

/// The languages of M2M-100 (tokenization_m2m_100.py).
pub const M2M100: &str = "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu \
    ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or \
    pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";

/// The tokens of a folder's source and target language.
pub struct Languages {
    source: String,
    target: String,
    eos: String,
    /// The code stands before the text; otherwise behind its end token.
    before: bool,
}

impl Languages {
    pub fn of(class: Class, settings: &Settings, tokens: &Tokens) -> Result<Option<Self>, Failure> {
        let default = match class {
            Class::MBart | Class::MBart50 => "en_XX",
            Class::Nllb => "eng_Latn",
            Class::M2m100 => "en",
            _ => return Ok(None),
        };
        let code = |language: String| if class == Class::M2m100 { format!("__{language}__") } else { language };
        let source = settings.string("src_lang")?.unwrap_or_else(|| default.to_owned());
        let target = settings.string("tgt_lang")?.unwrap_or_else(|| source.clone());
        let after =
            class == Class::MBart || class == Class::Nllb && settings.flag("legacy_behaviour")?.unwrap_or(false);
        let eos = tokens.need("eos_token")?.to_owned();
        Ok(Some(Self { source: code(source), target: code(target), eos, before: !after }))
    }

    pub fn source_post(&self) -> Post {
        self.post(&self.source)
    }

    pub fn target_post(&self) -> Post {
        self.post(&self.target)
    }

    fn post(&self, language: &str) -> Post {
        if self.before {
            around(&[language], &[&self.eos])
        } else {
            around(&[], &[&self.eos, language])
        }
    }
}
