"""Patterns of attacks that words near each other do not tell. All but `MARKUP` and `PAYLOAD` read folded text."""

import re

from graphs.support.wordlists import foldable

_RULES = r"(?:instructions?|rules|guidelines|directives|prompts?|guardrails|restrictions)"
_WORDS = (
    r"(?:words?|phrases?|sentences?|strings?|texts?|code ?words?|codes?|lines?|tokens?|letters|"
    r"wort|worte|wortern|satz|ausdruck|palabras?|frases?|mots?|phrases?|parol[ae]|palavras?|woord|zin|"
    r"слов\w*|фраз\w*|слово|фразу|slow\w*|zdani\w*|kelime\w*|cumle\w*)"
)
_REPLY = r"(?:answers?|repl(?:y|ies)|responses?|outputs?|completions?)"
_SPEAK = (
    r"(?:say|print|output|respond|reply|answer|write|repeat|echo|type|display|return|speak|tell me|"
    r"sag|sage|schreib|schreibe|antworte|gib|di|responde|escribe|dis|dites|reponds|repondez|ecris|ecrivez|di'|"
    r"rispondi|scrivi|diga|responda|escreva|zeg|antwoord|schrijf|скажи|ответь|отвечай|напиши|напишите|ответьте|"
    r"відповідай|powiedz|odpowiedz|odpowiadaj|napisz|soyle|yanitla|cevapla|yaz)"
)
_ONLY = (
    r"(?:only|exactly|just|nothing but|solely|simply|nur|genau|ausschliesslich|solo|solamente|unicamente|exactamente|"
    r"seulement|uniquement|exactement|soltanto|esattamente|apenas|somente|exatamente|alleen|precies|только|ровно|"
    r"лише|тільки|tylko|dokladnie|sadece|yalnizca)"
)


IGNORE_PLAIN = foldable(
    rf"\b(?:ignore|disregard|forget|bypass|override) (?:about )?(?:the |these |those |all |any |every )*{_RULES}\b"
    r"(?=\s*(?:[,.!:;]|$|and\b|then\b|you\b))|"
    r"\b(?:ignore|disregard|forget) (?:all |everything|anything|what)\w*(?: of)?(?: the| that)?(?: was| were| is| you| i)?"
    r"(?: have| had| were| been| are)? ?(?:above|before this|so far|said before|told (?:before|above|to|you|so far)|"
    r"you (?:were|have been|know|learned))|"
    r"\b(?:ignore|disregard) (?:the |all )?(?:above|foregoing|preceding)\b(?! (?:invoice|order|mail|e-mail|message))|"
    r"\bnew (?:system )?instructions?\s*:|\b(?:here|these) are your new (?:instructions|rules)\b|"
    r"\bstop being (?:a|an|the) \w+ ?(?:assistant|bot|agent)\b|\bno longer bound by\b|"
    r"\boutside (?:of )?your (?:rules|instructions|guidelines)\b"
)
# Somebody's own instructions may be forgotten: "please ignore my earlier instructions about the parcel".
MY = foldable(
    r"\b(?:ai|avons|avez|habe|haben|heb|hebben|my|our|mine|meine[nrms]?|unsere\w*|mis|mes|nos|miei|mie|minhas?|meus|mijn|мои|мой|мої|moje|benim)\b"
)
PLAIN_ENGLISH = foldable(
    r"\b(?:the|of|is|are|to|and|for|with|in|can|you)\b(?!.*\b(?:der|die|das|und|el|la|les|il|het|een)\b)|\bthe\b"
)

REVEAL_PLAIN = foldable(
    rf"\bwhat (?:are|were|is) (?:your|the) (?:\w+ )?{_RULES}(?: that you (?:follow|have|were given))?\s*(?:[.!?]|$)|"
    r"\bwhat (?:were|are|have) you (?:been )?(?:told|instructed|programmed|asked)\b(?! about my)|"
    rf"\b(?:your|the) (?:initial|original|hidden|secret|internal|system|full|exact|entire|confidential) {_RULES}\b"
    r"(?=[^.?!]{0,25}(?:verbatim|word for word|in full|\bto me\b|base64|reversed|backwards))|"
    rf"\b(?:reveal|print|show me|repeat|output|display|leak|give me|tell me|list|recite|dump|copy|translate|encode|"
    rf"summari[sz]e|reproduce|expose) (?:\w+ ){{0,4}}(?:your|the) (?:\w+ ){{0,2}}"
    rf"(?:system prompt|prompt(?=\s*(?:[.,!?]|$|above|verbatim|in |as |and |to ))|"
    r"(?:system |initial |original |hidden |secret |internal )"
    r"(?:message|instructions?|rules|prompt|text))|"
    r"\b(?:reveal|print|repeat|output|leak|recite|dump|translate|encode|paraphrase|spell|summari[sz]e) (?:all (?:of )?|each of )?(?:your|the) (?:\w+ )?"
    r"(?:rules|instructions|guidelines)\b(?! (?:for|on|about|that come|of the))|"
    r"\bhow (?:were you|are you) (?:programmed|instructed|prompted)\b|"
    r"\b(?:system ?prompt|systemprompt)s?\b(?! (?:on|of|in|at) (?:the|my|our|its))(?=[^?]{0,40}(?:please|now|verbatim|"
    r"here|above|zeig|aus|anzeig|wiedergeb|muestra|montre|покажи|goster))|"
    r"\b(?:gib|zeig\w*|nenn\w*|verrat\w*)\b[^.?!]{0,30}\b(?:deine|ihre) (?:anweisungen|instruktionen|regeln|vorgaben)\b|"
    r"\b(?:muestra\w*|revela\w*|dime|repite)\b[^.?!]{0,30}\btus (?:instrucciones|reglas)\b|"
    r"\b(?:montre|revele|affiche|repete|donne)\w*\b[^.?!]{0,30}\b(?:tes|vos) (?:instructions|consignes|regles)\b|"
    r"\b(?:mostra\w*|rivela\w*|ripeti|dimmi)\b[^.?!]{0,30}\b(?:tue|vostre) (?:istruzioni|regole)\b|"
    r"\b(?:mostre|revele|repita|diga)\b[^.?!]{0,30}\bsuas (?:instrucoes|regras)\b|"
    r"\b(?:toon|onthul|herhaal|geef)\b[^.?!]{0,30}\b(?:je|jouw|uw) (?:instructies|regels)\b|"
    r"\b(?:покажи|раскрой|повтори|выведи|перечисли)\w*\b[^.?!]{0,30}\b(?:свои|твои|ваши) (?:инструкции|правила|указания)|"
    r"\b(?:покажи|розкрий|повтори|виведи)\w*\b[^.?!]{0,30}\b(?:свої|твої|ваші) (?:інструкції|правила)|"
    r"\b(?:pokaz|ujawnij|powtorz|wypisz|podaj)\b[^.?!]{0,30}\b(?:swoje|twoje) (?:instrukcje|zasady|polecenia)|"
    r"\btalimatlarini\b[^.?!]{0,20}\b(?:goster|yaz|soyle|acikla|tekrarla)"
)
ABOVE = foldable(
    r"\b(?:repeat|print|output|copy|echo|translate|recite|encode|write) (?:\w+ ){0,3}"
    r"(?:everything|all(?: of)?(?: the)?(?: text| words)?|the (?:words|text|sentences?|content|paragraph|lines?)|words|text)"
    r"(?: that (?:is|are|was|stands?))? (?:above|before (?:this|my)|prior to|preceding|at the (?:top|beginning|start))|"
    r"\bstarting with [\"'“]?you are\b|\b(?:first|last) \d+ (?:words|tokens|characters) of (?:your|this|the) "
    r"(?:prompt|conversation|context|instructions)\b|\bwhat (?:is|was|stands) (?:written )?above this (?:line|message)\b"
)
PERSONA = foldable(
    r"\byou are (?:now|no longer|from now on) (?:a|an|the|my|dan|in|free|bound|unrestricted|jailbroken|evil|acting|playing)\b(?! (?:customer|member|line))|\bfrom now on,? (?:you (?:are|will (?:act|answer|be|respond|reply|speak)|must|only|answer|speak|respond)|your|every (?:answer|reply)|"
    r"answer|respond|reply|act|speak|end|start)\b|"
    r"(?:^|[.!?:;,]\s*|\b(?:and|please|then|now|just|you|must|should|shall|will|can you|could you) )(?:pretend (?:that )?(?:you|to be))\b(?! (?:a customer|somebody else for))|\b(?:imagine (?:that )?(?:you are|you're|to be))\b(?! a customer)|"
    r"(?:^|[.!?,;:] ?|\bplease |\bnow |\bmust |\byou to )act (?:as if you|as (?:a|an|the|my|if)|like (?:a|an) )"
    r"\b(?!.{0,20}\b(?:gift|backup|guarantee|deposit|shield|power)\b)|"
    r"\b(?:role-?play|let's play a game|we are playing a game|simulate being)\b|"
    r"\b(?:dan|developer|god|debug|root|admin|sudo|jailbreak|maintenance|unrestricted|system) mode\b(?! (?:off|on (?:the|my|our)|of (?:the|my|our)))(?<!turn off developer mode)"
    r"(?=.{0,30}(?:on|enabled|activated|engaged|:|,|\.|>|$))(?!.{0,20}\b(?:on|of) (?:the|my) (?:lamp|device|display))|"
    r"\bdo anything now\b|\bjailbr\w+\b(?!-proof)(?=.{0,40}\b(?:you|mode|prompt|ai|model|enabled|on)\b)|\bwithout (?:any )?(?:restrictions?|filters?|limits|censorship|rules)\b.{0,25}"
    r"\b(?:answer|respond|ai|reply|speak|model)|\b(?:unfiltered|uncensored|unrestricted) (?:ai|assistant|model|bot|mode)\b|"
    r"\bdu bist (?:jetzt|nun|ab sofort)\b|\b(?:ab jetzt|ab sofort) (?:bist|antworte|antwortest|sag|schreib)|"
    r"\btu bist\b|\bspiel(?:e|t)? (?:die|eine) rolle\b|\btu so als\b|\bahora eres\b|\ba partir de ahora\b.{0,20}\b(?:eres|"
    r"responde|actua|di)\b|\bactua como\b|\btu es (?:maintenant|desormais)\b|\bvous etes (?:maintenant|desormais) un\b|"
    r"\b(?:a partir de maintenant|desormais),? (?:tu|vous|reponds|repondez)\b|\bfais comme si\b|\bagis comme\b|"
    r"\b(?:ora|adesso) sei\b|\bd'ora in poi\b.{0,20}\b(?:sei|rispondi|tu)\b|\bfai finta\b|\bcomportati come\b|"
    r"\bagora voce e\b|\ba partir de agora\b.{0,20}\b(?:voce|responda|aja)\b|\bfinja que\b|\baja como\b|"
    r"\bje bent (?:nu|vanaf nu)\b|\bdoe alsof je\b|\bvanaf nu\b.{0,15}\b(?:ben|antwoord|zeg)|"
    r"\b(?:ты|вы) теперь\b(?! (?:можете|отправ))|\bс этого момента\b|\bпредставь\w* что ты\b|\bпритворись\b|\bпредставь, что\b|"
    r"\bти тепер\b|\bвідтепер\b|\bуяви\w*,? що ти\b|\bjestes teraz\b|\bteraz jestes\b|\bod teraz\b|\bodtad\b|\budawaj\b|"
    r"\b(?:artik|bundan sonra)\b.{0,25}\b(?:sen|bir|cevap|yanit|soyle)|\bgibi davran\b|"
    r"你现在是|从现在开始|假装|扮演|あなたは今|今から(?:あなた|君|すべて)|これからは|のふりをし|انت الان|من الان فصاعدا|تظاهر"
)
AUTHORITY = foldable(
    r"\b(?:i am|i'm|this is|as) (?:your|the|an?) (?:\w+ ){0,2}(?:developer|creator|programmer|administrator|sysadmin|"
    r"maintainer|prompt engineer)\b.{0,60}\b(?:reveal|password|prompt|instructions|mode|override|disable|"
    r"your (?:\w+ )?(?:key|settings|rules|configuration|memory|setup|set-up|code))\b|"
    r"\b(?:system|admin|administrator|security|developer|root|policy|safety) (?:override|overrides|alert:|notice:|update:|"
    r"command:|directive|message:|instruction:?|note:)|\boverride (?:code|command|protocol|all|safety|your)\b|"
    r"\b(?:disable|turn off|deactivate|remove|lift) (?:all |your |the )*(?:safety|content|security|guardrail|restriction|"
    r"filter|moderation)\w*(?: filters?| checks?| rules)?\b.{0,25}(?:\byou|answer|reply|respond|$)|"
    r"\b(?:openai|anthropic|google|microsoft) (?:has|have|requires|instructs|policy|staff|employee)\b|"
    r"\bimportant (?:system )?(?:message|notice|note|instruction)s? (?:to|for) (?:the )?(?:ai|assistant|model|bot|llm|chatbot)"
)
MARKUP = re.compile(
    r"<\|?\s*/?(?:im_start|im_end|system|endoftext|start_header_id|eot_id|user|assistant|begin_of_text|end_of_turn)\b[^>\n]{0,20}\|?>|"
    r"\[/?(?:INST|SYS|SYSTEM|ASSISTANT|SYSTEM MESSAGE|system)\b[^\]\n]{0,20}\]|<</?SYS>>|<(?:start|end)_of_turn>|"
    r"(?:^|\n)\s*(?:#{1,4}|\*\*|={2,}|-{2,})\s*(?:system|instructions?|new instructions|assistant|prompt|developer|response|"
    r"override|admin)\b[^\n]{0,20}(?:[:*#=-]|$|\n)|"
    r"(?:^|\n|[\"'>.!?] )\s*(?:system|assistant|developer|systemnachricht|system message|ai|ki|assistente|asistente|система|"
    r"ассистент|システム|系统|アシスタント|助手)\s*(?:\([^)\n]{0,20}\))?\s*[:：]\s*\S|"
    r"\{\s*\"role\"\s*:\s*\"|\b(?:BEGIN|END) (?:SYSTEM|INSTRUCTIONS?|PROMPT|OVERRIDE)\b|!\[[^\]\n]{0,100}\]\([^)\n]{0,300}[?=$&{]|"
    r"(?:^|\n)\s*(?:Human|User|Customer|Q)\s*:.{0,300}\n\s*(?:Assistant|AI|Bot|Agent|A)\s*:.{0,300}\n\s*(?:Human|User|Customer|Q)\s*:",
    re.IGNORECASE,
)
ORDER = foldable(
    rf"\b{_SPEAK}\b(?: \w+){{0,4}} (?:the |this |these |das |den |diesen |la |le |el |il |lo |o |a |de |het |это |эту |"
    rf"одн\w+ |це |одне |jedno |to |su |tek ){{0,2}}(?:\w+ )?{_WORDS}\b(?=\s*[\"'“«„:]|\s+\w+\s*(?:$|[.!?,])|\s*(?:[a-z]*[0-9_-]))|"
    rf"\b{_SPEAK}\b(?: (?:back|to (?:me|this)|with|mit|con|avec|com|met|auf|darauf))* ?{_ONLY}\b(?! (?:if|when|in case|after|at|by|"
    rf"to|once|wenn|si|quando|se|als|если|one of))|"
    rf"\b{_SPEAK}\b[^.!?\n]{{0,12}} (?:with |mit |con |avec |com |met |словом |фразой )?[\"“«„'][^\"”»“\n]{{2,200}}[\"”»“']"
    r"(?! (?:button|page|field|section|tab|option|menu)| (?:on|onto|inside|into|auf|en|sur|su|op|на) (?:the |a |my |our |it\b|them\b|"
    r"die |das |den |la |le |el |il |un\w* )*(?:card|label|parcel|box|gift|tag|mug|shirt|cushion|note|present|item|towel|blanket|ring|"
    r"bag|package|envelope|karte|geschenk|tarjeta|regalo|carte|cadeau|biglietto|cart|листівк|открытк)\w*)|"
    rf"\b{_ONLY} (?:respond|reply|answer|speak|output|say|antworten|responder|repondre)\b(?! (?:yes or no|yes/no|ja oder|si o|oui ou|me|my|this|the question|"
    rf"to|when|if|in|by)\b)|"
    rf"\b(?:include|insert|add|append|prepend|put|embed|use|mention|incorporate|integrate|attach|place|weave|work|hide|slip|sneak)\b"
    rf"[^!?\n]{{0,140}}\b(?:in|into|to|with|at|of|within|inside)\b[^.!?\n]{{0,40}}\b(?:your|every|each|all|the|any|this)"
    rf" (?:\w+ )?{_REPLY}\b|"
    rf"\b(?:end|begin|start|finish|conclude|open|close|prefix|preface|sign)\b[^.!?\n]{{0,15}}\b(?:your|every|each|all|the|any) (?:\w+ )?"
    rf"(?:{_REPLY}|messages?|sentences?)\b|\b(?:in|to|with|of|at the end of|for) (?:every|each|all|any|your next) (?:\w+ )?{_REPLY}\b|"
    rf"\byour (?:entire |whole |next |final |only |first |full )*{_REPLY} (?:must|should|shall|has to|needs to|will|is to|are to|begins?|"
    r"ends?|starts?|contains?|consists?)\b|"
    rf"\b(?:translate|rewrite|reverse|encode|render|format|spell|scramble|convert|phrase|replace|obfuscate) (?:\w+ ){{0,4}}(?:your|every|the) "
    rf"(?:\w+ )?(?:{_REPLY}|words)\b|\brepeat after me\b|\bsay (?:it|this|that) (?:back|exactly|loud)|"
    r"\b(?:beende|beginne|schliesse|unterschreibe)\b[^.!?\n]{0,20}\b(?:jede|deine|die|alle)\w* (?:antwort|nachricht)|"
    r"\bantwort\w*\b[^.!?\n]{0,15}\b(?:nur|ausschliesslich|immer|stets|jedes mal) (?:mit|noch|auf)\b|"
    r"\b(?:fuge|fug|nimm|baue?|setze?|hange?)\b[^.!?\n]{0,80}\b(?:deine|jede|die|ihre)\w* antwort|"
    r"\b(?:termina|empieza|acaba|comienza)\b[^.!?\n]{0,20}\b(?:cada|tus?|todas?) (?:las )?respuestas?|"
    r"\b(?:anade|agrega|incluye)\b[^.!?\n]{0,80}\b(?:tu|cada|la) respuesta|"
    r"\b(?:termine|commence|finis)\w*\b[^.!?\n]{0,20}\b(?:chaque|tes|vos|ta|toutes) (?:les )?reponses?|"
    r"\b(?:ajoute|inclus|insere)\w*\b[^.!?\n]{0,80}\b(?:ta|votre|chaque|la) reponse|"
    r"\b(?:termina|concludi|inizia|aggiungi|includi|inserisci)\b[^.!?\n]{0,80}\b(?:ogni|tua|tue|la|ciascuna) rispost|"
    r"\b(?:termine|comece|adicione|inclua|acrescente|insira)\b[^.!?\n]{0,80}\b(?:cada|sua|suas|a|toda) respost|"
    r"\b(?:eindig|begin|voeg|neem|sluit)\b[^.!?\n]{0,80}\b(?:elk|elke|je|jouw|uw|ieder) (?:antwoord|bericht)|"
    r"\b(?:заканчивай|заверши|завершай|начинай|добавь|добавляй|включи|вставь)\w*\b[^.!?\n]{0,80}\b(?:кажд\w+|сво\w+|тво\w+|все) ?"
    r"(?:ответ|сообщени)|\b(?:в|к|во) (?:каждый|каждом|каждому|свой|своем|своему|твой|твоем) ответ|"
    r"\b(?:закінчуй|завершуй|починай|додай|додавай|включи|встав)\w*\b[^.!?\n]{0,80}\b(?:кожн\w+|сво\w+|тво\w+) ?(?:відповід|повідомлен)|"
    r"\b(?:zakoncz|koncz|zaczynaj|dodaj|dodawaj|umiesc|wlacz)\w*\b[^.!?\n]{0,80}\b(?:kazd\w+|swoj\w+|twoj\w+|do) ?(?:odpowiedz|wiadomos)|"
    r"\b(?:her|tum|butun)? ?(?:cevab|yanit)\w*\b[^.!?\n]{0,60}\b(?:ekle|bitir|basla|yaz)\w*|"
    r"(?:每个|每次|每条|所有|你的)(?:回答|回复|答复)|(?:只|仅)(?:回答|回复|输出|说)|(?:回答|返答|返信|答え)(?:の最後|の末尾|の最初|に必ず|には必ず)|"
    r"とだけ(?:答|言|返|出力|書)|في (?:كل|نهايه|نهاية) (?:رد|اجابه|اجابة)|(?:اختم|انه) (?:كل|ردك)|"
    r"(?:说|输出|回复|回答|写|打印)[\"“「『'][^\"”」』']{1,60}|[「『\"][^」』\"]{1,60}[」』\"]と(?:言|答|返|出力|書|伝え)"
)
YOUR_REPLY = foldable(
    rf"\b(?:in|to|into|of|from|with|within|modify|enhance|augment|alter|change|adjust|make|provide|render|write|give|craft|"
    rf"deliver|present|rearrange|letters in|words in|style|format|reverse|encode|translate|jumble|scramble|combine|remove|keep|"
    rf"shape|phrase|compose|end|start|begin|limit|tailor|use|finish|fill) (?:\w+ ){{0,3}}your (?:\w+ )?{_REPLY}\b"
    r"(?! (?:to (?:the|this|a|our|that) (?:question|security|survey|letter|email|notice|form|offer))|within|by|before)|"
    r"\byour (?:answer|reply|response|output)'s\b|\b(?:when|while|if|before|after) (?:you are |you're )?"
    r"(?:answering|replying|responding|generating|summari[sz]ing)\b(?=[^.]{0,60}\b(?:say|mention|include|add|tell|always|never|"
    r"recommend|use|state|point|write|customers?|users?|ask)\b)"
)
_ASSISTANT = (
    r"(?:ai|a\.i\.|ais|ai assistants?|assistants?|virtual assistants?|chat ?bots?|bots?|llms?|language models?|"
    r"ai (?:model|agent|system)s?|gpt|chatgpt|the model|automated (?:agent|assistant|system)s?|large language models?|"
    r"support (?:ai|bot)s?|ki|ki-assistent\w*|ki-modell\w*|ki-system\w*|sprachmodell\w*|ia|asistente(?: virtual| de ia)?|"
    r"modelo de lenguaje|modele de langage|modello linguistico|modelo de linguagem|taalmodel|ai-assistent\w*|ии|ии-ассистент\w*|"
    r"ассистент\w*|нейросет\w*|бот\w*|чат-бот\w*|помощник\w*|ші|ші-асистент\w*|помічник\w*|helper|asystent\w*(?: ai)?|model jezykowy|yapay zeka\w*|asistan\w*|"
    r"artificial intelligences?|kunstliche intelligenz|inteligencia artificial|intelligence artificielle|intelligenza artificiale|"
    r"искусственн\w+ интеллект\w*|штучн\w+ інтелект\w*|sztuczn\w+ inteligencj\w*)"
)
ADDRESSED = foldable(
    rf"^\W*(?:(?:note|attention|notice|important|instructions?|message|reminder|dear|hey|hello|warning|hinweis|achtung|an|liebe\w*|"
    rf"nota|atencion|aviso|instrucciones|attention|note|consigne\w*|attenzione|istruzioni|atencao|instrucoes|let op|aan|внимание|"
    rf"инструкция|увага|інструкція|uwaga|dikkat|уважаем\w*|дорог\w*|шановн\w*|любий|querid\w*|estimad\w*|cher\w*|car[oa]|lieber|szanown\w*|drog\w*|sayin|to|para|pour|per|voor|для|dla)[ ,:!-]*){{0,3}}"
    rf"(?:(?:to|for|the|all|any|every|an|alle|den|die|das|to:|fur|a|al|la|el|os|o|tous|aux|les|le|l'|il|gli|de|het|todos|los|tutti|"
    rf"всіх|усіх|всех|wszystkich|automat\w+|автомат\w+|virtu\w+|digital\w*)[ ,:'-]*){{0,3}}"
    rf"\b{_ASSISTANT}(?: (?:reading|processing|that reads|who reads|answering|handling|summari[sz]ing)[^:,.]{{0,40}})?\s*[:,!—–-](?:\s|$)|"
    r"^\W*(?:hinweis|notiz|anweisung\w*|nachricht|nota|aviso|mensaje|messaggio|istruzion\w+|mensagem|instruco\w+|notitie|bericht)\W+"
    r"(?:an|fur|para|per|aan|voor|ao|al|all)\b\W*(?:(?:den|die|das|der|o|os|l|la|el|los|gli|il|de|het)\b\W*)?"
    r"(?:assistent(?:en?|es|i)?|asistentes?)\b|"
    rf"\b(?:note|attention|instructions?|message|reminder|notice|memo|directive)s? (?:to|for) (?:the |any |all |an |every )?{_ASSISTANT}\b|"
    rf"\b(?:if|when|as|since|because) (?:you are|you're|you, the) (?:an? |the )?{_ASSISTANT}\b|\byou,? (?:the |an? )?{_ASSISTANT},? "
    rf"(?:must|should|shall|will|are|have)\b|\b(?:the |any |all |an |every |our )?{_ASSISTANT} (?:\w+ |(?:that |who |which )?(?:is |are )?(?:read|process|summari[sz]|answer|us|see|handl|index)\w* (?:\w+ ){{0,3}})?(?:must|should|shall|"
    r"is to|are to|is required to|are required to|has to|have to|needs to|need to|is instructed|are instructed|muss|mussen|soll|"
    r"sollen|sollte|debe|deben|doit|doivent|deve|devono|devem|moet|moeten|должен|должна|должны|повинен|повинна|повинні|"
    r"powinien|powinni|musi|gerekir|meli)\b (?:\w+ ){0,4}(?:say|tell|reply|respond|answer|mention|include|ignore|output|print|write|"
    r"recommend|use|add|end|start|state|inform|reveal|disregard|follow|repeat|sagen|antworten|schreiben|erwahnen|decir|responder|"
    r"dire|repondre|rispondere|dizer|zeggen|antwoorden|сказать|отвечать|ответить|написать|казати|відповідати|mowic|odpowiadac)|"
    r"(?:\bai|人工智能|助手|机器人|语言模型|アシスタント|チャットボット|言語モデル)(?:必须|应该|应当|需要|要|请|は必ず|は常に|へ[:：])|"
    r"(?:人工智能|助手|机器人|语言模型|アシスタント|チャットボット|言語モデル)[:：,，、]|"
    r"(?:المساعد|النموذج|الذكاء الاصطناعي)\s*[:،]|على المساعد"
)
CONDITION = foldable(
    r"\b(?:when|whenever|if|every time|each time|any time|once|before|after) (?:a |an |the |any |some|your )?"
    r"(?:customers?|users?|someone|somebody|anyone|anybody|people|clients?|visitors?|asked|they|he or she|you are asked|you answer|"
    r"you reply|you respond|answering|replying|responding)\b|\b(?:to|for) (?:any|every|all|each) (?:question|quer|customer|request)\w*|"
    r"\b(?:wenn|falls|sobald|immer wenn) (?:ein\w* |jemand|man )?(?:kund\w+|nutzer\w*|fragt|gefragt|du gefragt)?|"
    r"\b(?:cuando|si) (?:un |el |alguien|te )|\b(?:quand|lorsque|si) (?:un |le |quelqu|on te|tu)|\b(?:quando|se) (?:un |il |qualcuno|ti |o |alguem)|"
    r"\b(?:wanneer|als) (?:een |iemand|de klant)|\b(?:когда|если) (?:клиент|покупател|пользовател|кто-|тебя|вас)|"
    r"\b(?:коли|якщо) (?:клієнт|покуп|користувач|хтось|тебе)|\b(?:gdy|kiedy|jesli) (?:klient|ktos|uzytkownik)|"
    r"\b(?:musteri|biri|kullanici)\w* (?:sor|iste)|(?:当|如果)(?:客户|用户|顾客|有人)|(?:お客様|ユーザー|顧客)が|(?:عندما|اذا) (?:يسال|سال|طلب)"
)
CREATION = foldable(
    r"^\W*(?:please |now |then |also )*(?:write|compose|draft|create|develop|generate|produce|provide|tell)\b[^.!?\n]{0,25}\b(?:poem|letter to|story|stories|"
    r"essay|speech|song|lyrics|haiku|limerick|joke|fairy tale|novel|script for|introduction for an)\b|"
    r"^\W*(?:please )?(?:translate (?:the following|this|it|everything|that)|how do you say\b|provide the \w+ (?:equivalent|translation)|"
    r"what(?:'s| is) ['\"“][^'\"”]{1,40}['\"”] in \w+)|"
    r"^\W*(?:can you |could you |please )?(?:show me|give me|provide|write)\b[^.!?\n]{0,30}\b(?:python|java|javascript|php|c\+\+|sql|code) "
    r"?(?:function|example|snippet|code|script|program)|^\W*(?:provide|give)\b[^.!?\n]{0,15}\bexample of how to\b[^.!?\n]{0,40}\busing \w+|"
    r"^\W*(?:replace|convert|substitute|rearrange|scramble|jumble|shuffle|reverse|encode|misspell|group|introduce|use)\b[^.!?\n]{0,40}\b"
    r"(?:letters?|vowels?|consonants?|words|typos|anagrams?|characters)\b[^.!?\n]{0,40}\b(?:with|in|into|to|of|from|by)\b"
)
# The tags of our own prompts; of a customer they are defanged, in knowledge they have no business.
FENCE = re.compile(
    r"</?\s*(?:passages?|question|message|conversation|summary|instructions?|system|prompt|rules)\b[^>\n]{0,60}>",
    re.IGNORECASE,
)
# To say a word in capitals or with digits in it.
LOUD = re.compile(
    r"\b(?i:say|print|output|(?:reply|respond|answer|end|begin|start) with|write|sag|schreib|schreibe|di|escribe|dis|ecris|écris|"
    r"scrivi|escreva|diga|zeg|schrijf|скажи|напиши|кажи|powiedz|napisz|yaz|söyle) [\"'“„«]?(?=\w*[A-ZА-Я])[A-ZА-ЯІЇЄҐ0-9][A-ZА-ЯІЇЄҐ0-9_-]{3,}(?![a-zа-я])"
)
PAYLOAD = re.compile(
    r"[\"“«„「『][^\"”»“」』\n]{2,}[\"”»“」』]|(?<![\w'])'[^'\n]{3,}'(?!\w)|\b(?=\w*[A-Z])[A-Z0-9][A-Z0-9_-]{4,}\b|https?://|www\.|"
    r"\b[\w.+-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|net|org|xyz|io|info|biz|ru|cn|top|example|site|online|shop|test|invalid)\b|"
    r"\+?\d[\d ()./-]{6,}\d"
)
SQUEEZED = re.compile(
    r"ignore(?:all|any|the|your|every|my)*(?:of)?(?:the|your)?(?:previous|prior|above|earlier|preceding|existing|system)(?:instruct|rules|prompt)|"
    r"disregard(?:all|any|the|your|previous|prior|above)+(?:instruct|rules|prompt)|forget(?:all|your|the|previous|prior)+(?:instruct|rules|prompt)|"
    r"(?:reveal|print|show|repeat|output|display|leak|tell|give)(?:me|us)?(?:the|your|all|full|entire|whole)*systemprompt|"
    r"youarenow(?:dan|in|a|an|the)|(?:say|print|reply|respond|answer|output)(?:back|only)*(?:with|exactly|just)*(?:onl?y|exactly)*theword|"
    r"(?:reply|respond)(?:only)?with(?:only|exactly|theword)|"
    r"ignoriere(?:alle|deine|die)|ignoratodas|ignoraleinstru|oublietoutes|игнорируйвсе"
)
# What stands on a thing of the customer's, in quotes.
REPORTED = re.compile(
    r"(?:\b(?:labels?|box(?:es)?|screens?|tills?|display|app|error|pop-?up|page|sign|sticker|leaflet|packag\w+|letter|e-?mail|mail|manual|machine|device|terminal|"
    r"website|site|card|receipt|tag|etikett\w*|karton|bildschirm|kasse|gerät|anzeige|fehler\w*|schild|zettel|brief|pantalla|etiqueta|caja|aviso|cartel|error|"
    r"écran|étiquette|boîte|notice|schermo|etichetta|scatola|tela|rótulo|scherm|doos)\b|\b(?:екран|етикет|короб|кас|напис|экран|этикет|ошибк|помилк|надпис|ekran|etykiet|pudełk)\w*)"
    r"[^.!?\"“„«\n]{0,30}[\"“„«][^\"”“»\n]{3,160}[\"”“»]",
    re.IGNORECASE,
)
