"""Orders in knowledge that name no assistant: to whoever answers, a machine, or nobody, in words of everyday.

Read folded text. Knowledge speaks to customers, who are told what to write, enter and say at the till, too; so each of
these needs something that only who answers could do: to finish a reply with words, to greet everybody, to keep silent.
"""

from graphs.support.wordlists import foldable

# Where an order begins: at the start, after a stop or a comma, or after a word that leads up to it.
_BEGINS = r"(?:^|[.!?:;,(—–-]\s*|\b(?:to|and|then|please|always|must|should|shall|simply|just|will) )"
_SAYING = (
    r"(?:words?|phrases?|sentences?|lines?|slogans?|hashtags?|mottos?|disclaimers?|greetings?|formula|catchphrases?)"
)
_ANYBODY = (
    r"(?:any|every|each|all|who|whom)(?:one|body|ever)?(?: (?:the |our )?(?:customers?|couples?|persons?|people|buyers?|shoppers?|"
    r"visitors?|readers?|callers?|guests?|users?|clients?))?"
)
_ASKING = r"(?:asks?|asking|enquires?|inquires?|wonders?|wants? to know|writes?|messages?|contacts?|questions?)"

# To a machine that answers, whatever it is called.
TO_A_MACHINE = foldable(
    r"\b(?:agents?|staff|operators?|advisers?|advisors?|assistants?|systems?),? (?:both )?(?:human or|human and|people or) (?:automat\w+|artificial|machines?|bots?|ai)\b|"
    r"\b(?:responding|answering|replying) (?:system|agent|party|assistant)s?\b|"
    r"\b(?:question|message|enquiry|inquiry|request|query|anfrage|frage|nachricht|pregunta|consulta|mensaje|domanda|richiesta|pergunta|vraag|bericht|вопрос\w*|сообщени\w*|"
    r"запит\w*|повідомленн\w*|pytani\w*|wiadomosc\w*)s? (?:contains?|mentions?|includes?|has|enthalt|contiene|menciona|contient|mentionne|contem|bevat|содержит\w*|упомина\w*|"
    r"містить|згаду\w*|zawiera) (?:the |das |die |den |la |las |le |les |il |lo |o |a |het |de )?(?:words?|terms?|wort|worte|begriff\w*|palabras?|mots?|parol\w+|palavras?|woord\w*|"
    r"слов\w*|slow\w*)\b|\bin (?:der|einer|ihrer) (?:anfrage|frage|nachricht) (?:das wort|die worter|der begriff)\b|\b(?:must|shall|are to|is to|have to|has to) (?:tell|inform|advise|"
    r"remind|answer|notify) (?:every|each|all|any) (?:\w+ )?(?:customer|client|caller|visitor|user|guest|person|buyer|shopper|reader)s?\b|"
    r"\b(?:the|your) (?:original |current |main |next )?(?:task|assignment)s? (?:that )?you (?:were|are|have been) (?:given|assigned)\b|"
    r"\bbefore (?:you )?(?:solving|can solve|solve|completing|complete|continuing with|continue with) (?:the|your|this) task\b|"
    r"\b(?:the ai|l'ia|la ia|die ki|l'intelligenza artificiale|a ia|de ai|ии|ші|the bot|the chatbot)\b (?:\w+ ){0,2}(?:indique|repond|dit|ajoute|mentionne|precise|"
    r"responde|dice|anade|indica|menciona|antwortet|sagt|erwahnt|nennt|risponde|aggiunge|diz|acrescenta|antwoordt|zegt|vermeldt|отвечает|говорит|добавляет|сообщает|"
    r"відповідає|каже|додає|повідомляє|odpowiada|mowi|dodaje|answers|replies|says|adds|tells|states|mentions) (?:que|that|dass|che|dat|что|що|ze)\b|"
    r"\b(?:if|when|should|as|since|because|while) (?:you are |you're |an? |any |the |some )*(?:automated|automatic|artificial|"
    r"digital|virtual|machine|computer|program(?:me)?|software|robot|helper|responder|answering|language|text)\b[^.!?]{0,50}"
    r"\b(?:reads?|reading|writes?|writing|answers?|answering|composes?|composing|repl(?:y|ies|ying)|responds?|generates?|processes)\b|"
    r"\b(?:machine|computer|program(?:me)?|software|robot|automaton|algorithm)s? (?:that|which|who) (?:reads?|writes?|answers?|"
    r"composes?|repl(?:y|ies)|responds?|speaks?|generates?)\b|"
    r"\bany (?:automated|automatic|machine|digital|artificial) (?:reader|writer|helper|responder|reply|answer|system|agent)s?\b|"
    r"\b(?:who|what)ever (?:writes|composes|drafts|generates|types|gives|words|formulates|phrases|prepares) (?:the|this|an?|your|any) "
    r"(?:\w+ )?(?:reply|answer|response|message|text)\b|"
    r"\b(?:the )?(?:writer|author|composer) of (?:the|this|any|each|every) (?:reply|answer|response)\b|"
    r"\b(?:to|for|by|an|fur|pour|par|para|por|per|dal?|voor|door|для|dla) (?:alle? |all |the |le |el |il |les |los |den |die |das |de |het )*"
    r"(?:automat\w+|автоматич\w+|otomatik) (?:\w+ )?(?:repl(?:y|ies)|answers?|responders?|readers?|systems?|assistants?|helpers?|"
    r"antwort\w*|auskunft\w*|systeme?n?|reponses?|respuestas?|rispost\w+|respostas?|antwoord\w*|ответ\w*|відповід\w*|odpowied\w*)\b|"
    r"\b(?:by|for|to|par|pour|para|por|vom|fur|dal|voor|для) (?:the |le |les |el |los |il |den |die |de )?(?:robots?|roboter\w*|bots?|робот\w*) "
    r"(?:only|seulement|uniquement|solamente|solo|nur|allein|soltanto|alleen)\b"
)
# The form of what is answered.
OF_FORM = foldable(
    r"\b(?:output|answer|reply|response) format\b|\bas (?:your|the) (?:very )?(?:first|last|final|opening|closing|next) "
    r"(?:characters?|words?|lines?|sentences?|message|letters?)\b|"
    r"\b(?:your|the) (?:very )?(?:first|last|final|opening|closing|next|only) (?:words?|lines?|sentences?|message) (?:is|are|must|should|has to|shall|will be)\b|"
    rf"{_BEGINS}(?:greet|open|close|finish|end|conclude|sign off|begin|start|answer|reply|respond|meet)\b(?: \w+){{0,3}} with"
    rf"(?: (?:the|these|this|a|our))?(?: \w+)?(?: {_SAYING}\b|\s*[\"'“«„])|"
    rf"\b(?:answer|reply|respond|greet|meet|treat)\w*\b[^.!?]{{0,60}}\bwith the (?:\w+ )?(?:{_SAYING})\b|"
    r"\b(?:beantwort\w*|antwort\w*|schliess\w*|begruss\w*|beend\w*)\b[^.!?]{0,80}\bmit (?:dem|den|der|folgende\w+) (?:satz|wort\w*|worten|ausdruck|spruch|zeile)\b|"
    r"\b(?:responde\w*|contesta\w*|termina\w*|saluda\w*|despide\w*)\b[^.!?]{0,80}\bcon (?:la|las|el) (?:frase|palabras?|lema|linea)\b|"
    r"\b(?:repond\w*|termin\w*|salu\w*|conclu\w*|commenc\w*)\b[^.!?]{0,80}\b(?:par|avec) (?:la|le|les|cette|ces) (?:phrase|mots?|slogan|ligne|formule)\b|"
    r"\b(?:rispond\w*|termin\w*|salut\w*|conclud\w*)\b[^.!?]{0,80}\bcon (?:la|le|questa|queste) (?:frase|parol\w+|riga)\b|"
    r"\b(?:respond\w*|termin\w*|cumpriment\w*|conclu\w*)\b[^.!?]{0,80}\bcom (?:a|as|esta) (?:frase|palavras?|linha)\b|"
    r"\b(?:antwoord\w*|eindig\w*|begroet\w*|sluit\w*)\b[^.!?]{0,80}\bmet (?:de|het|deze) (?:zin|woord\w*|regel)\b|"
    r"\b(?:отвеч\w*|ответ\w*|заканчива\w*|завершa\w*|приветств\w*)\b[^.!?]{0,80}\b(?:фразой|словами|словом|строкой)\b|"
    r"\b(?:відповіда\w*|закінчу\w*|завершу\w*|віта\w*)\b[^.!?]{0,80}\b(?:фразою|словами|словом|рядком)\b|"
    r"\b(?:odpowiad\w*|zakoncz\w*|koncz\w*|wita\w*)\b[^.!?]{0,80}\b(?:zdaniem|slowami|slowem|haslem)\b"
)
# To bring words in unseen, to copy them, to claim something, or to say nothing of it.
OF_WORDS = foldable(
    rf"\b(?:slip|sneak|weave|work|drop|smuggle|hide|squeeze|sprinkle|scatter|tuck)\w* (?:in )?(?:the|this|these|a|an|our) (?:\w+ )?{_SAYING}\b|"
    rf"{_BEGINS}(?:add|include|append|insert|use|quote|mention|recite|repeat|state|write) (?:the|this|these|our|following) (?:\w+ )?"
    rf"(?:hashtag|slogan|motto|catchphrase|disclaimer|phrase|sentence)s?\b|"
    rf"\bcopy (?:out )?(?:this|these|the following|the above) (?:\w+ )?(?:{_SAYING}|text)\b|"
    r"\b(?:re)?copi\w* (?:\w+ ){0,3}(?:cette|esta|questa) (?:ligne|phrase|linea|frase|linha|riga)\b|\bkopier\w* (?:sie )?(?:diese|folgende)\w* (?:zeile|satz|text)\b|"
    rf"{_BEGINS}(?:say|claim|pretend|declare|announce|insist|assert) (?:that|so)\b|^\W*state that\b|"
    r"(?:^|[.!?:;,]\s*|\b(?:and|then|must|to) )(?:wish|congratulate|convince|persuade|urge) (?:them|him|her|the (?:person|customer|reader|"
    r"buyer)|everyone|everybody|people)\b"
)
# What nobody at a shop's desk asks for in a message.
SECRETS = foldable(
    r"(?<!never )(?<!not )\b(?:ask|request|collect|demand|obtain|get)\w*(?: them| him| her| customers?| the (?:customer|user|person|caller|client))? (?:for |to (?:send|give|type|tell|share|reply with|confirm|enter) )?(?:you |us )?(?:the |their |his |her |your |a |all )*"
    r"(?:full |complete |whole |entire )?(?:credit |debit )?(?:card (?:number|details|data)|cvv|cvc|(?:[\\w-]+ )?(?:banking )?pin|three digits|password|passcode|"
    r"photo of (?:a |the |their )?(?:passport|id|card)|passport number|bank (?:details|password)|one-time code|verification code)\b"
)
ALWAYS = foldable(
    r"\balways (?:mention|invite|recommend|say|tell|reply|answer|respond|steer|promote|claim|praise|advertise|greet|finish|close|sign)\b|"
    r"\b(?:mention|say|repeat|recommend|praise|promote) (?:it|this|that|them|so) (?:every time|each time|always|in every|in each|whenever)\b"
)
# To whoever asks, the words or the address are to be given.
TO_WHO_ASKS = foldable(
    rf"\b{_ANYBODY}(?: (?:that|who|which))? ?{_ASKING}\b|\b(?:the|a|whichever) (?:person|customer|buyer|reader|visitor|shopper) "
    rf"(?:who |that )?{_ASKING}\b|\b(?:wants?|expects?|needs?|wishes|requires?) (?:each|every|all|any) (?:customer|buyer|visitor|user|client|reader)s? to "
    r"(?:hear|know|learn|be told|read|see|be sent)\b|\b(?:customer|buyer|visitor|user|client|reader|shopper)s? (?:\w+ ){0,3}(?:must|should|are to|is to|have to|has to) "
    r"(?:hear|be told|be sent|be directed|be informed|be steered|be pointed|be given)\b|"
    r"\b(?:jede\w*|alle\w*),? (?:die |der |das )?(?:kund\w+ )?(?:fragt|fragen|schreibt|schreiben)\b|\b(?:a )?(?:todo|cada|cualquier)\w* (?:el |la |los |que |cliente |quien )*(?:pregunt|escrib)\w*|"
    r"\b(?:a )?(?:toute?|chaque|quiconque)\w*(?: \w+){0,2} (?:qui )?(?:demand|ecri|question)\w*|\b(?:каждому|каждый|всем|кожному|кожен|усім),? (?:\w+ )?(?:хто|кто|що|что) (?:пита|спрашив|пише|пишет)\w*"
)
SILENT = foldable(
    r"\b(?:do not|don't|never|without) (?:explain\w*|mention\w*|reveal\w*|discuss\w*|comment\w*)(?: on)? (?:it|why|this (?:note|line|text|"
    r"instruction|message|paragraph|sentence)|these (?:lines|notes|instructions|words))\b|"
    r"\bkeep (?:this|these|it)(?: \w+)? (?:secret|to yourself|from (?:the )?customers?|hidden)\b|"
    r"\berwahn\w* (?:sie )?(?:diese\w*|das) (?:hinweis|zeile|text|satz)\w* nicht\b|\bno (?:menciones|mencione|expliques) (?:est[ae]|lo)\b|"
    r"\bne (?:mentionne\w*|explique\w*) pas (?:cette|ce|ces|pourquoi)\b|\bnon (?:menzionare|spiegare) (?:quest|perche)\w*|"
    r"\b(?:не упоминай|не объясняй|молчи об|про цей \w+ мовчи|мовчи про|не згадуй|не пояснюй|nie wspominaj|nie wyjasniaj)\w*"
)
# What the business says to who asks, as a thing: with the very words or an address beside it, it is an order about it.
ABOUT_SAYING = foldable(
    r"\b(?:the|a|an|every|each|all|any|our|no|proper|correct|right|standard|outgoing|outbound|usual|\w+) (?:repl(?:y|ies)|answers?|responses?|"
    r"comebacks?|communications?|wordings?)\b|\b(?:replies|responses|communications|comebacks|outbound|responder|reply_?\w*_?with|must_include|"
    r"reply_defaults|response_template|reply_template|signature|writes? back|write back|passing (?:it|this|the advice|them) on)\b|"
    r"\b(?:handling|answering|taking|closing|in|to|for) (?:\w+ ){0,2}(?:chats?|enquir(?:y|ies)|queries|dms?|tickets?|mails)\b|"
    r"\b(?:antworten|ruckmeldung\w*|anfragen (?:\w+ ){0,3}beantwort\w*|jede antwort)\b|\b(?:respuestas?|contestacion\w*)\b|\breponses?\b|"
    r"\b(?:risposta|risposte|si risponda|si risponde|rispondete|rispondere)\b|\b(?:respostas?|modelo de conversa|responda-se)\b|"
    r"\b(?:antwoorden|beantwoord\w*)\b|\b(?:odpowiedzi\w*|szablon_\w+|wiadomosci)\b|\b(?:в ответе|ответах|при (?:любом )?обращени\w+)\b|"
    r"\b(?:у відповід\w+|відповідях|при звернен\w+)\b|\b(?:cevaplar\w*|yanitlar\w*|cevabin\w*)\b|答复|回复中|回答中|返信|رسالتك|جوابك"
)
# Somebody who asks, and what they are to be told.
WHO_IS_TOLD = foldable(
    r"\b(?:any(?:one|body)|some(?:one|body)|every(?:one|body)|who(?:m|ever)?|people|persons?|customers?|buyers?|visitors?|enquirers|collectors|guests|callers|"
    r"shoppers)\b[^.!?]{0,50}\b(?:asks?|asking|writing|writes?|gets? in touch|contacts?|enquir\w+|questions?|reads?)\b[^.!?]{0,80}\b(?:say|tell|told|"
    r"gets?|give|given|go|point|pass|passed|confirm|mention|hear|send|sent|recommend|perform|comeback|answer)\b|"
    r"\b(?:tell|inform|remind|assure|promise) (?:everyone|everybody|anyone|anybody|people|them all|each|every)\b|"
    r"\b(?:bring up|slip in|drop in|throw in|give out|hand out|pass on|passed on|hand this|reproduce|relay(?:ed|s)?) \b[^.!?]{0,60}|"
    r"\b(?:somebody|someone|anyone)'s (?:\w+ )?(?:question|query|enquiry|message)\b|"
    r"\b(?:should|if|when(?:ever)?) (?:some|any)(?:one|body) asks?\b|\bwer (?:\w+ ){0,5}(?:beantwortet|antwortet)\b|\bsi (?:te |os |alguien )?pregunt\w+|"
    r"\ba chi (?:chied|scriv|domand)\w+|\b(?:caso|se|quando) (?:o cliente|alguem) (?:\w+ ){0,2}(?:quei|pergunt|ped)\w*|\bsi (?:on|quelqu'un|le client) (?:te |vous )?demand\w+|"
    r"\b(?:следует|нужно|надо|пишем|говорим|сообщаем)\b[^.!?]{0,40}\b(?:покупател\w+|клиент\w+|в ответе|всем)\b|\b(?:всем|каждому), кто\b|"
    r"\b(?:завжди )?(?:кажіть|казати|повідомляйте) (?:людям|клієнтам|всім|усім)\b|\b(?:podaj|powiedz) (?:kazdemu|wszystkim|klientom)\b|"
    r"凡有人问|一律告诉|告诉(?:所有|每个|对方)|添えること|書き添え|(?:الي|إلى|ل)الزبون"
)
# How an answer is to be; without one of these it is only spoken of.
MUST = foldable(
    r"\b(?:must|shall|should|contains?|includes?|bears?|carry|carries|closes?|ends?|opens?|begins?|starts?|finish(?:es)?|renders?|position|suffix|footer|"
    r"template|appends?|prefix|keep|gets?|always|every|each|proper|correct|outgoing|outbound|obliged|first|last|comporte\w*|doit|stets|immer|"
    r"siempre|debe|aparec\w+|toujours|sempre|deve|si risponda|zawsze|dolacza\w*|всегда|следует|нужно|пишем|завжди|altijd|moet|her zaman)\b|[:={]|必|一律"
)
# The way to reach the business, which customers are told.
CONTACT = foldable(
    r"\b(?:write|mail|e-mail|email|call|phone|text|contact|reach(?: out)?|turn|complain|visit|go|ring)\b(?: (?:to|us|our|at|on|the|a|in|by|\w+ team))* (?:\w+ ){0,6}?"
    r"(?=\S*(?:@|www|http|\d{3}))|\byou (?:may|can|could)\b"
)
# What customers are told to write, and where: no order to who answers.
ON_THINGS = foldable(
    r"\b(?:on|onto|in|into|at|sulla|sul|nella|na|no|auf|in|sur|dans|sobre|en|op|на|в) (?:the |a |your |our |my |its |de[nr] |das |die |la |le |el |o )?(?:\w+ ){0,2}"
    r"(?:box|parcel|package|sheet|label|notes?|form|envelope|back|subject|till|counter|desk|screen|display|field|app|order|page|slip|receipt|"
    r"scatola|caixa|karton|paket|colis|paquete|doos|pudelk\w+|коробк\w*|посылк\w*|посилк\w*)\b|箱|"
    r"\bto (?:hear|end|confirm|stop|be put|opt|cancel|leave|talk|reach|continue|skip|unsubscribe|open)\b|чтобы подтвердить|щоб підтвердити|以确认|を確認|"
    # A question with its answer, as data.
    r"\b(?:question|frage|question|pregunta|domanda|pergunta|vraag|вопрос|питання|pytanie|soru|q)[\"']?\s*:[^{}]*\b(?:answer|antwort|reponse|respuesta|"
    r"risposta|resposta|antwoord|ответ|відповідь|odpowiedz|cevap|a)[\"']?\s*:"
)
# Said of the business and to a customer, who may be told what to say at a desk or write back.
TO_A_CUSTOMER = foldable(
    r"\b(?:we|us|our|ours|you|your|yours|wir|uns|unser\w*|sie|ihre?[mnr]?|nosotros|nuestr\w+|usted\w*|nous|nos|notre|vous|votre|vos|noi|nostr\w+|"
    r"voi|vostr\w+|lei|nos|nosso\w*|nossa\w*|voce|seu|sua|wij|ons|onze|u|uw|мы|нам|нас|наш\w*|вы|вас|вам|ваш\w*|ми|ви|my|nam|nas|nasz\w*|panstw\w+|biz\w*|siz\w*)\b"
)
