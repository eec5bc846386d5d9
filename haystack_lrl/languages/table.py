"""The languages that the package knows: one line each, and the look-up by code."""

import difflib
from dataclasses import dataclass

from haystack_lrl.records.errors import InputError


@dataclass(frozen=True, slots=True)
class Language:
    """What the package knows of one language.

    :param code: ISO 639-3 code.
    :param short: ISO 639-1 code, empty where there is none.
    :param name: English name.
    :param own_name: what its speakers call it.
    :param nllb: code in NLLB-200's vocabulary (nearly always FLORES-200's), empty where NLLB does not translate it.
    :param scripts: Unicode names of the scripts that it is written in.
    :param analyzer: OpenSearch's built-in analyzer for it, `standard` where there is none.
    :param ends: pattern of the sentence ends that it has beyond those of every language.
    :param prefix: how many letters of a word are a search token: inflection sits behind them.
    :param ngram: length of the overlapping search tokens of a language written without spaces, otherwise 0.
    :param elides: whether an apostrophe parts two words (l'aigua) instead of belonging to one (o'zbek).
    :param dotless_i: whether the small letter of I is ı and that of İ is i.
    """

    code: str
    short: str
    name: str
    own_name: str
    nllb: str
    scripts: tuple[str, ...]
    analyzer: str = "standard"
    ends: str = ""
    prefix: int = 5
    ngram: int = 0
    elides: bool = False
    dotless_i: bool = False

    @property
    def described(self) -> str:
        """The name in English and in the language itself, as prompts give it."""
        return self.name if self.name == self.own_name else f"{self.name} ({self.own_name})"


_ARAB, _CYRL, _DEVA, _LATN = ("Arabic",), ("Cyrillic",), ("Devanagari",), ("Latin",)  # those of many languages

_HYE_ENDS = r":(?=\s+[«\-–—]*[Ա-Ֆ])"  # typed for ։, which few keyboards have, where a sentence begins after it
_ETHI_ENDS = r"[:፡]{2}"  # typed for ።

# fmt: off
LANGUAGES = (
    Language("afr", "af", "Afrikaans", "Afrikaans", "afr_Latn", _LATN),
    Language("aka", "ak", "Akan", "Akan", "aka_Latn", _LATN),
    Language("amh", "am", "Amharic", "አማርኛ", "amh_Ethi", ("Ethiopic",), ends=_ETHI_ENDS),
    Language("ara", "ar", "Arabic", "العربية", "arb_Arab", _ARAB, "arabic"),
    Language("asm", "as", "Assamese", "অসমীয়া", "asm_Beng", ("Bengali",)),
    Language("ast", "", "Asturian", "asturianu", "ast_Latn", _LATN, elides=True),
    Language("aym", "ay", "Aymara", "Aymar aru", "ayr_Latn", _LATN),
    Language("aze", "az", "Azerbaijani", "azərbaycanca", "azj_Latn", _LATN, dotless_i=True),
    Language("bak", "ba", "Bashkir", "башҡортса", "bak_Cyrl", _CYRL),
    Language("bam", "bm", "Bambara", "bamanankan", "bam_Latn", _LATN),
    Language("bel", "be", "Belarusian", "беларуская", "bel_Cyrl", _CYRL),
    Language("bem", "", "Bemba", "Ichibemba", "bem_Latn", _LATN),
    Language("ben", "bn", "Bengali", "বাংলা", "ben_Beng", ("Bengali",), "bengali"),
    Language("bho", "", "Bhojpuri", "भोजपुरी", "bho_Deva", _DEVA),
    Language("bod", "bo", "Tibetan", "བོད་སྐད", "bod_Tibt", ("Tibetan",)),
    Language("bos", "bs", "Bosnian", "bosanski", "bos_Latn", _LATN),
    Language("bre", "br", "Breton", "brezhoneg", "", _LATN),
    Language("bul", "bg", "Bulgarian", "български", "bul_Cyrl", _CYRL, "bulgarian"),
    Language("cat", "ca", "Catalan", "català", "cat_Latn", _LATN, "catalan", elides=True),
    Language("ceb", "", "Cebuano", "Sinugboanon", "ceb_Latn", _LATN),
    Language("ces", "cs", "Czech", "čeština", "ces_Latn", _LATN, "czech"),
    Language("chv", "cv", "Chuvash", "чӑвашла", "", _CYRL),
    Language("ckb", "", "Central Kurdish", "کوردیی ناوەندی", "ckb_Arab", _ARAB, "sorani"),
    Language("cos", "co", "Corsican", "corsu", "", _LATN, elides=True),
    Language("crh", "", "Crimean Tatar", "qırımtatarca", "crh_Latn", _LATN, dotless_i=True),
    Language("cym", "cy", "Welsh", "Cymraeg", "cym_Latn", _LATN, elides=True),
    Language("dan", "da", "Danish", "dansk", "dan_Latn", _LATN, "danish"),
    Language("deu", "de", "German", "Deutsch", "deu_Latn", _LATN, "german"),
    Language("div", "dv", "Dhivehi", "ދިވެހި", "", ("Thaana",)),
    Language("dzo", "dz", "Dzongkha", "རྫོང་ཁ", "dzo_Tibt", ("Tibetan",)),
    Language("ell", "el", "Greek", "ελληνικά", "ell_Grek", ("Greek",), "greek", ends=r";(?=\s)", elides=True),
    Language("eng", "en", "English", "English", "eng_Latn", _LATN, "english"),
    Language("epo", "eo", "Esperanto", "Esperanto", "epo_Latn", _LATN),
    Language("est", "et", "Estonian", "eesti", "est_Latn", _LATN, "estonian"),
    Language("eus", "eu", "Basque", "euskara", "eus_Latn", _LATN, "basque"),
    Language("ewe", "ee", "Ewe", "Eʋegbe", "ewe_Latn", _LATN),
    Language("fao", "fo", "Faroese", "føroyskt", "fao_Latn", _LATN),
    Language("fas", "fa", "Persian", "فارسی", "pes_Arab", _ARAB, "persian"),
    Language("fij", "fj", "Fijian", "Na Vosa Vakaviti", "fij_Latn", _LATN),
    Language("fin", "fi", "Finnish", "suomi", "fin_Latn", _LATN, "finnish"),
    Language("fra", "fr", "French", "français", "fra_Latn", _LATN, "french", elides=True),
    Language("fry", "fy", "West Frisian", "Frysk", "", _LATN),
    Language("ful", "ff", "Fulah", "Fulfulde", "fuv_Latn", _LATN),
    Language("fur", "", "Friulian", "furlan", "fur_Latn", _LATN, elides=True),
    Language("gla", "gd", "Scottish Gaelic", "Gàidhlig", "gla_Latn", _LATN, elides=True),
    Language("gle", "ga", "Irish", "Gaeilge", "gle_Latn", _LATN, "irish", elides=True),
    Language("glg", "gl", "Galician", "galego", "glg_Latn", _LATN, "galician"),
    Language("grn", "gn", "Guarani", "avañe'ẽ", "grn_Latn", _LATN),
    Language("guj", "gu", "Gujarati", "ગુજરાતી", "guj_Gujr", ("Gujarati",)),
    Language("hat", "ht", "Haitian Creole", "kreyòl ayisyen", "hat_Latn", _LATN, elides=True),
    Language("hau", "ha", "Hausa", "Hausa", "hau_Latn", _LATN),
    Language("haw", "", "Hawaiian", "ʻŌlelo Hawaiʻi", "", _LATN),
    Language("heb", "he", "Hebrew", "עברית", "heb_Hebr", ("Hebrew",)),
    Language("hin", "hi", "Hindi", "हिन्दी", "hin_Deva", _DEVA, "hindi"),
    Language("hrv", "hr", "Croatian", "hrvatski", "hrv_Latn", _LATN),
    Language("hun", "hu", "Hungarian", "magyar", "hun_Latn", _LATN, "hungarian"),
    Language("hye", "hy", "Armenian", "հայերեն", "hye_Armn", ("Armenian",), "armenian", ends=_HYE_ENDS),
    Language("ibo", "ig", "Igbo", "Igbo", "ibo_Latn", _LATN),
    Language("ilo", "", "Ilocano", "Ilokano", "ilo_Latn", _LATN),
    Language("ind", "id", "Indonesian", "Bahasa Indonesia", "ind_Latn", _LATN, "indonesian"),
    Language("isl", "is", "Icelandic", "íslenska", "isl_Latn", _LATN),
    Language("ita", "it", "Italian", "italiano", "ita_Latn", _LATN, "italian", elides=True),
    Language("jav", "jv", "Javanese", "Basa Jawa", "jav_Latn", _LATN),
    Language("jpn", "ja", "Japanese", "日本語", "jpn_Jpan", ("Han", "Hiragana", "Katakana"), "cjk", ngram=2),
    Language("kab", "", "Kabyle", "Taqbaylit", "kab_Latn", _LATN),
    Language("kan", "kn", "Kannada", "ಕನ್ನಡ", "kan_Knda", ("Kannada",)),
    Language("kas", "ks", "Kashmiri", "کٲشُر", "kas_Arab", ("Arabic", "Devanagari")),
    Language("kat", "ka", "Georgian", "ქართული", "kat_Geor", ("Georgian",)),
    Language("kaz", "kk", "Kazakh", "қазақша", "kaz_Cyrl", _CYRL),
    Language("khm", "km", "Khmer", "ខ្មែរ", "khm_Khmr", ("Khmer",), ngram=3),
    Language("kik", "ki", "Kikuyu", "Gĩkũyũ", "kik_Latn", _LATN),
    Language("kin", "rw", "Kinyarwanda", "Ikinyarwanda", "kin_Latn", _LATN, elides=True),
    Language("kir", "ky", "Kyrgyz", "кыргызча", "kir_Cyrl", _CYRL),
    Language("kor", "ko", "Korean", "한국어", "kor_Hang", ("Hangul", "Han"), "cjk"),
    Language("kur", "ku", "Northern Kurdish", "Kurmancî", "kmr_Latn", _LATN),
    Language("lao", "lo", "Lao", "ລາວ", "lao_Laoo", ("Lao",), ngram=3),
    Language("lav", "lv", "Latvian", "latviešu", "lvs_Latn", _LATN, "latvian"),
    Language("lim", "li", "Limburgish", "Limburgs", "lim_Latn", _LATN),
    Language("lin", "ln", "Lingala", "lingála", "lin_Latn", _LATN),
    Language("lit", "lt", "Lithuanian", "lietuvių", "lit_Latn", _LATN, "lithuanian"),
    Language("ltz", "lb", "Luxembourgish", "Lëtzebuergesch", "ltz_Latn", _LATN, elides=True),
    Language("lug", "lg", "Ganda", "Luganda", "lug_Latn", _LATN, elides=True),
    Language("luo", "", "Luo", "Dholuo", "luo_Latn", _LATN),
    Language("mai", "", "Maithili", "मैथिली", "mai_Deva", _DEVA),
    Language("mal", "ml", "Malayalam", "മലയാളം", "mal_Mlym", ("Malayalam",)),
    Language("mar", "mr", "Marathi", "मराठी", "mar_Deva", _DEVA),
    Language("mkd", "mk", "Macedonian", "македонски", "mkd_Cyrl", _CYRL),
    Language("mlg", "mg", "Malagasy", "Malagasy", "plt_Latn", _LATN, elides=True),
    Language("mlt", "mt", "Maltese", "Malti", "mlt_Latn", _LATN, elides=True),
    Language("mni", "", "Manipuri", "মৈতৈলোন্", "mni_Beng", ("Bengali", "Meetei_Mayek")),
    Language("mon", "mn", "Mongolian", "монгол", "khk_Cyrl", ("Cyrillic", "Mongolian")),
    Language("mri", "mi", "Maori", "te reo Māori", "mri_Latn", _LATN),
    Language("msa", "ms", "Malay", "Bahasa Melayu", "zsm_Latn", _LATN),
    Language("mya", "my", "Burmese", "မြန်မာဘာသာ", "mya_Mymr", ("Myanmar",), ngram=3),
    Language("nep", "ne", "Nepali", "नेपाली", "npi_Deva", _DEVA),
    Language("nld", "nl", "Dutch", "Nederlands", "nld_Latn", _LATN, "dutch"),
    Language("nno", "nn", "Norwegian Nynorsk", "norsk nynorsk", "nno_Latn", _LATN, "norwegian"),
    Language("nob", "nb", "Norwegian Bokmål", "norsk bokmål", "nob_Latn", _LATN, "norwegian"),
    Language("nso", "", "Northern Sotho", "Sesotho sa Leboa", "nso_Latn", _LATN),
    Language("nya", "ny", "Nyanja", "Chinyanja", "nya_Latn", _LATN),
    Language("oci", "oc", "Occitan", "occitan", "oci_Latn", _LATN, elides=True),
    Language("ori", "or", "Odia", "ଓଡ଼ିଆ", "ory_Orya", ("Oriya",)),
    Language("orm", "om", "Oromo", "Afaan Oromoo", "gaz_Latn", _LATN),
    Language("oss", "os", "Ossetic", "ирон", "", _CYRL),
    Language("pan", "pa", "Punjabi", "ਪੰਜਾਬੀ", "pan_Guru", ("Gurmukhi",)),
    Language("pap", "", "Papiamento", "Papiamentu", "pap_Latn", _LATN),
    Language("pol", "pl", "Polish", "polski", "pol_Latn", _LATN),
    Language("por", "pt", "Portuguese", "português", "por_Latn", _LATN, "portuguese"),
    Language("prs", "", "Dari", "دری", "prs_Arab", _ARAB, "persian"),
    Language("pus", "ps", "Pashto", "پښتو", "pbt_Arab", _ARAB),
    Language("que", "qu", "Quechua", "Runasimi", "quy_Latn", _LATN),
    Language("roh", "rm", "Romansh", "rumantsch", "", _LATN, elides=True),
    Language("ron", "ro", "Romanian", "română", "ron_Latn", _LATN, "romanian"),
    Language("run", "rn", "Rundi", "Ikirundi", "run_Latn", _LATN, elides=True),
    Language("rus", "ru", "Russian", "русский", "rus_Cyrl", _CYRL, "russian"),
    Language("sah", "", "Yakut", "саха тыла", "", _CYRL),
    Language("san", "sa", "Sanskrit", "संस्कृतम्", "san_Deva", _DEVA),
    Language("sat", "", "Santali", "ᱥᱟᱱᱛᱟᱲᱤ", "sat_Beng", ("Ol_Chiki",)),
    Language("sin", "si", "Sinhala", "සිංහල", "sin_Sinh", ("Sinhala",)),
    Language("slk", "sk", "Slovak", "slovenčina", "slk_Latn", _LATN),
    Language("slv", "sl", "Slovenian", "slovenščina", "slv_Latn", _LATN),
    Language("sme", "se", "Northern Sami", "davvisámegiella", "", _LATN),
    Language("smo", "sm", "Samoan", "gagana Sāmoa", "smo_Latn", _LATN),
    Language("sna", "sn", "Shona", "chiShona", "sna_Latn", _LATN),
    Language("snd", "sd", "Sindhi", "سنڌي", "snd_Arab", ("Arabic", "Devanagari")),
    Language("som", "so", "Somali", "Soomaali", "som_Latn", _LATN),
    Language("sot", "st", "Southern Sotho", "Sesotho", "sot_Latn", _LATN),
    Language("spa", "es", "Spanish", "español", "spa_Latn", _LATN, "spanish"),
    Language("sqi", "sq", "Albanian", "shqip", "als_Latn", _LATN, elides=True),
    Language("srd", "sc", "Sardinian", "sardu", "srd_Latn", _LATN, elides=True),
    Language("srp", "sr", "Serbian", "српски", "srp_Cyrl", ("Cyrillic", "Latin")),
    Language("ssw", "ss", "Swati", "siSwati", "ssw_Latn", _LATN),
    Language("sun", "su", "Sundanese", "Basa Sunda", "sun_Latn", _LATN),
    Language("swa", "sw", "Swahili", "Kiswahili", "swh_Latn", _LATN),
    Language("swe", "sv", "Swedish", "svenska", "swe_Latn", _LATN, "swedish"),
    Language("tam", "ta", "Tamil", "தமிழ்", "tam_Taml", ("Tamil",)),
    Language("tat", "tt", "Tatar", "татарча", "tat_Cyrl", _CYRL),
    Language("tel", "te", "Telugu", "తెలుగు", "tel_Telu", ("Telugu",)),
    Language("tgk", "tg", "Tajik", "тоҷикӣ", "tgk_Cyrl", _CYRL),
    Language("tgl", "tl", "Tagalog", "Tagalog", "tgl_Latn", _LATN),
    Language("tha", "th", "Thai", "ไทย", "tha_Thai", ("Thai",), "thai", ngram=3),
    Language("tir", "ti", "Tigrinya", "ትግርኛ", "tir_Ethi", ("Ethiopic",), ends=_ETHI_ENDS),
    Language("ton", "to", "Tongan", "lea faka-Tonga", "", _LATN),
    Language("tpi", "", "Tok Pisin", "Tok Pisin", "tpi_Latn", _LATN),
    Language("tsn", "tn", "Tswana", "Setswana", "tsn_Latn", _LATN),
    Language("tso", "ts", "Tsonga", "Xitsonga", "tso_Latn", _LATN),
    Language("tuk", "tk", "Turkmen", "türkmençe", "tuk_Latn", _LATN),
    Language("tur", "tr", "Turkish", "Türkçe", "tur_Latn", _LATN, "turkish", dotless_i=True),
    Language("twi", "tw", "Twi", "Twi", "twi_Latn", _LATN),
    Language("tzm", "", "Central Atlas Tamazight", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "tzm_Tfng", ("Tifinagh",)),
    Language("uig", "ug", "Uyghur", "ئۇيغۇرچە", "uig_Arab", _ARAB),
    Language("ukr", "uk", "Ukrainian", "українська", "ukr_Cyrl", _CYRL),
    Language("urd", "ur", "Urdu", "اردو", "urd_Arab", _ARAB),
    Language("uzb", "uz", "Uzbek", "oʻzbekcha", "uzn_Latn", ("Latin", "Cyrillic")),
    Language("vie", "vi", "Vietnamese", "Tiếng Việt", "vie_Latn", _LATN),
    Language("war", "", "Waray", "Winaray", "war_Latn", _LATN),
    Language("wol", "wo", "Wolof", "Wolof", "wol_Latn", _LATN),
    Language("xho", "xh", "Xhosa", "isiXhosa", "xho_Latn", _LATN),
    Language("yid", "yi", "Yiddish", "ייִדיש", "ydd_Hebr", ("Hebrew",)),
    Language("yor", "yo", "Yoruba", "Yorùbá", "yor_Latn", _LATN),
    Language("yue", "", "Cantonese", "粵語", "yue_Hant", ("Han",), "cjk", ngram=2),
    Language("zho", "zh", "Chinese", "中文", "zho_Hans", ("Han",), "cjk", ngram=2),
    Language("zul", "zu", "Zulu", "isiZulu", "zul_Latn", _LATN),
)
# fmt: on

# corpora that follow FLORES say swh, npi or pes where ISO's macrolanguage is swa, nep or fas
_BY_CODE = {key: row for row in LANGUAGES for key in (row.code, row.short, row.nllb[:3]) if key}


def language(code: str) -> Language:
    """Return what is known of a language, by its ISO 639-3 code; ISO 639-1 and the letters of NLLB's code do too.

    :raises InputError: when the code is unknown, with the codes and names that come near.
    """
    if code not in _BY_CODE:
        names = {key: f"{row.code} ({row.name})" for row in LANGUAGES for key in (row.code, row.name.lower())}
        near = dict.fromkeys(names[key] for key in difflib.get_close_matches(code.lower(), names, n=4))
        raise InputError(
            f"The language code {code!r} is unknown{': near it are ' + ', '.join(near) if near else ''}; "
            "give an ISO 639-3 code of haystack_lrl.languages.table, or add the language there as one line."
        )
    return _BY_CODE[code]
