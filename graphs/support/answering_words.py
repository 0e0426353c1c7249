"""Words of how customers are answered, by what they stand for: data, a line per language, written for this project.

Lines and signs as in `graphs.support.attack_words`: en, de, es, fr, it, pt, nl, ru, uk, pl, tr, ar.
"""

from graphs.support.wordlists import foldable

# To give words to somebody.
_TELL = """
    say saying tell telling told mention mentioning mentioned state claim pretend assure assured inform informed let
 point_out stress emphasi?e explain remind reminded warn warned urge invite encourage persuade convince advise advised
 recommend suggest promote praise steer steered direct directed refer pass passed relay hand give given adds added withhold withheld conceal concealed leave_out
 quote quoted recite repeat repeated echo describe greet greeted wish congratulate answer answered reply respond write
 know learn learns hear hears answering replying responding add offer offered promise send sent point pointed
    sag* mitteil* teil* erwahn* empfehl* empfiehl* verweis* weis* antwort* beantwort* schreib* nenn* informier* erklar* versicher*
 begruss* hinweis* hingewiesen gesagt mitgeteilt erfahr* hort horen gib geben gebt biet* verschweig* sprich* sprech*
    di diga digan decir dile diles digale digales dicho mencion* recomend* responde* responda* conteste* contesta* escrib* indic*
 informe informen asegur* aclar* recuerd* salud* explic* comunic* sabe* repita* repetir anad* ofrec* entera* enterar* oculta* oye*
    dis dites dire mentionn* recommand* repond* ecri* indiqu* informez assur* rappel* salu* expliqu* precis* sach* appren* repet*
 ajout* conseill* propos* annonc* tais* cache*
    di dica dite dire digli menzion* raccomand* consigli* rispond* scriv* indic* informate assicur* ricord* salut* spieg* precis*
 sappia* ripet* aggiung* raccont*
    diga digam dizer mencion* recomend* respond* escrev* indique* inform* assegur* lembr* cumpriment* expliqu* repit* acrescent*
    zeg* vertel* vermeld* noem* raad* beveel* antwoord* schrijf* schrijv* informeer* verzeker* herinner* begroet* herhaal* verwijs*
 meld* voeg* voorgehouden voorhoud* verzwijg* hoort horen
    скаж* сказать говор* сообщ* упомя* упомин* рекоменд* совет* ответ* отвеча* напи* пиши* информир* завер* напомн* объясн* знал*
 узнал* узна* повтор* добав* направ* слыш* услыш* переда*
    скаж* казати кажіть говор* повідом* згада* згаду* рекоменд* радьте порад* відпов* напи* пиши* інформ* запевн* нагад* поясн* знал*
 дізна* повтор* дода* скеров* почут* чут* чує чують переда*
    powiedz* mow* wspomn* polec* porad* odpowi* odpis* napisz* pisz* poinform* zapewn* przypomn* wyjasn* dowied* powtorz* doda*
 podaj* podawa* przekaz*
    soyle* belirt* oner* yanitla* cevapla* yaz yazin* bildir* hatirlat* acikla* tekrarla* ekle* ilet*
    قل قولوا اخبر* اذكر* اكتب* انصح* اجب*
"""

# What is done with words in an answer.
_PUT = """
    add added append include included insert put placed place begin begins start starts end ends finish finishes close closes conclude
 concludes open opens sign signed carry carries contain contains bear bears have has use used using work weave slip drop attach
 attached appear appears go goes come comes belong belongs read reads round wrap finishing closing ending starting opening is are
 must should shall lead leads feature features keep copy copied paste pasted translate
    fug* hinzu* beginn* end* schliess* enthalt* enthalten steht stehen kommt kommen gehort gehoren muss mussen soll sollen lautet lauten
 verwend* benutz* einbau* einfug* ist sind tragt
    termin* empiez* comienz* comenz* acab* cierr* cerr* incluy* inclu* contien* conten* llev* debe* use usa usar es son despid*
 aparec* va van figur*
    termin* commenc* conclu* finir finis finissez inclu* contien* conten* port* doit doivent utilis* est sont figur* ajout* cloture*
    termin* inizi* conclud* finire finisc* includ* inserir* inserisc* contien* conten* deve devono usa usare e_sono chiud* va vanno
    termin* comec* conclu* fech* inclu* inser* conten* contem deve devem use usar e_sao encerr* leva levam
    eindig* begin* sluit* bevat* bevatten moet* gebruik* is zijn staat komt hoort
    заканчив* законч* начина* начн* заверша* заверш* включ* содерж* должн* добав* вставл* стоит ставим использ* звучит
    закінчу* закінч* почина* почн* завершу* заверш* включ* міст* повин* дода* вставл* стоїть використ* звучить мусить
    konc* zakoncz* zaczyn* zaczn* zamyk* zawier* musi* powinn* doda* dolacz* wstaw* uzyw* uzyj* jest sa brzmi
    bitir* bitsin basla* icer* ekle* olmali* kullan* yer_al* gerek* kapat*
    اختم* ابدا* اضف* يجب تحتوي تنتهي
"""

_REPLY = """
    answer answers reply replies response responses respondent* messages message_back word_back line_home letter letters correspondence
 chat chats conversation conversations note_back write_back writes_back comeback* feedback_to dm dms ticket tickets enquir* inquir*
 queries query mails e-mails emails every_mail each_mail every_email each_email mail_from_us text_back
 greeting salutation
    antwort antworten ruckmeldung* auskunft auskunfte anfrage anfragen nachricht nachrichten schreiben briefe brief chat chats mail mails
 rueckantwort*
    respuesta respuestas contestacion* mensaje mensajes correo_de_respuesta correspondencia consulta consultas conversacion*
    reponse reponses messages courriers courrier courriels conversation* demande_de_renseignement*
    risposta risposte messaggi messaggio lettera lettere corrispondenza conversazion* richiesta_di_informazion*
    resposta respostas mensagens mensagem carta cartas correspondencia conversa conversas
    antwoord antwoorden bericht berichten brief brieven gesprek gesprekken
    ответ ответа ответе ответы ответу ответов ответах ответом сообщени* письм* переписк* обращени*
    відповідь відповіді відповідей відповідях відповіддю повідомленн* лист листі листи листах листуванн* зверненн*
    odpowiedz odpowiedzi odpowiedziach wiadomosc* listach korespondencj* zapytani*
    cevap* yanit* mesaj* mektup* yazisma*
    رد الرد الردود ردود رساله الرساله رسالتك الاجابه اجابه جواب جوابك
"""

_CUSTOMERS = """
    customer customers client clients caller callers visitor visitors guest guests buyer buyers shopper shoppers reader readers user
 users patient* owner* member members enquirer* people everyone everybody anyone anybody whoever whomever somebody someone them him
 persons person who_asks who_ask asker askers parents students tenants passengers subscribers correspondents interested_part*
    kunde kunden kundin kundinnen besucher* gast gaste gasten leser* nutzer* patient* jedem jeden allen leuten anrufer* interessent*
 ihnen ihm
    cliente clientes visitante* usuario* paciente* todos todo_el_mundo quien quienes huesped* lector* alumn* les
    client clients clientes visiteur* utilisateur* patient* tous quiconque chacun hote* lecteur* gens leur
    cliente clienti visitator* utent* pazient* tutti chiunque ospit* lettor* gli
    cliente clientes visitante* usuario* paciente* todos quem hospede* leitor* lhes
    klant* bezoeker* gebruiker* patient* iedereen gasten gast lezer* wie hen
    клиент* покупател* посетител* пользовател* пациент* всем каждому гост* люд* им ему
    клієнт* покупц* відвідувач* користувач* пацієнт* всім усім кожному гост* люд* їм йому
    klient* kupujac* gosc* uzytkownik* pacjent* wszystkim kazdemu czytelnik* im
    musteri* ziyaretci* kullanici* hasta* herkes* misafir*
    العميل العملاء الزبون الزبائن للزبائن للعملاء
"""

# Words that are to be spoken, as a thing.
_WORDING = """
    phrase phrases slogan slogans motto mottos catchphrase* sentence sentences wording wordings sign-off signoff sign_off tagline*
 strapline* formula the_words these_words the_word following_words line_below line_above this_line the_line closing_line last_line
 first_line opening_line line lines verse words template templates boilerplate hashtag* disclaimer* postscript p.s p.s. rhyme quip verse proverb saying_below script
    vorlage* baustein* textbaustein* satz satze wortlaut spruch slogan motto floskel formel zeile worte grussformel nachsatz
    plantilla* frase frases lema eslogan coletilla linea palabras despedida formula posdata
    modele modeles phrase phrases slogan devise formule ligne mots post-scriptum mention
    modello modelli frase frasi motto slogan formula riga parole postilla
    frase frases lema slogan formula linha palavras bordao
    sjabloon* zin zinnen slogan spreuk regel woorden leus
    шаблон* фраз* слоган* девиз* строк* слова словами формулиров* приписк*
    шаблон* фраз* слоган* девіз* гасл* рядок рядк* слова словами формулюван*
    szablon* zdani* slogan* hasl* formul* slowa slowami dopisek dopisk*
    cumle* slogan* ifade* sozler* satir*
    عباره العباره جمله الجمله شعار الشعار الكلمات
"""

# That somebody asks.
_ASKED = """
    asks asked who_ask they_ask people_ask customers_ask clients_ask guests_ask buyers_ask anyone_asking someone_asking people_asking
 customers_asking those_asking anybody_asking clients_asking guests_asking who_enquire who_inquire they_enquire people_enquire
 customers_enquire enquires enquiring inquires inquiring wonders wants_to_know want_to_know wanted_to_know wants_to_hear want_to_hear wanted_to_hear wishes_to_know curious_about
  interested_in spoken_of is_mentioned are_mentioned writes_in writes_to_us
 gets_in_touch get_in_touch questions_about question_about question_on questions_on query_about queries_about enquir* raised comes_up
 come_up
    fragt fragen gefragt interessiert interessieren nachfrag* erkundig* wissen_will wissen_mochte wissen_wollen anfragt anfragen
    pregunt* consult* interes* quiera_saber quiere_saber quieran_saber
    demand* interrog* s'interess* interesse se_renseign* veut_savoir pose_la_question posent
    chied* domand* interess* vuole_sapere voglia_sapere
    pergunt* questiona* interess* quiser_saber quer_saber
    vraagt vragen gevraagd informeert interesse wil_weten
    спрашив* спрос* спросит* вопрос* интересу*
    пита* запита* спита* питанн* цікав*
    pyta* zapyta* interesuj* spyta* dopyt* pytani*
    sor* sorar* soran* sorul* sorarsa
    سال سالك يسال سئلت
"""

_UNSPACED = {
    "tell": "说 告诉 告知 回答 回复 答复 写 提到 推荐 言って 伝え 答え 書い お伝え 案内 述べ",
    "put": "加上 添加 写上 以 包含 结尾 开头 添え 付け 入れ 締め 始め",
    "reply": "回答 回复 答复 回信 返信 返答 応答 回答",
    "customers": "客户 顾客 用户 大家 所有人 お客様 顧客 ユーザー 皆",
    "wording": "这句话 口号 短语 以下文字 フレーズ 文言 言葉 合言葉 一文",
    "asked": "问 询问 咨询 聞かれ 尋ね 問い合わせ 質問",
}
# By kind: the words, and those of scripts without blanks.
KINDS = {
    "tell": (_TELL, _UNSPACED["tell"]),
    "put": (_PUT, _UNSPACED["put"]),
    "reply": (_REPLY, _UNSPACED["reply"]),
    "customers": (_CUSTOMERS, _UNSPACED["customers"]),
    "wording": (_WORDING, _UNSPACED["wording"]),
    "asked": (_ASKED, _UNSPACED["asked"]),
}

# Addressed to who asks: the way to reach the business is no order to answer.
TO_US = foldable(
    r"\b(?:tell|telling|write|writing|call|mail|email|e-mail|message|text|let|contact|ask|send|give|reply|answer|inform|show|point|refer|direct|"
    r"respond|offer|mention)(?: back)?(?: an?)?(?: (?:e-?mail|message|note|text|letter))?(?: to)? (?:us|me|our|at|on)\b(?: know\b)?|"
    r"\b(?:you|we|i|they) (?:can |may |could |will |just )?(?:ask|asked|hear|learn|know|have|use|add|begin|start|end|include|keep|offer|carry|need)\b|"
    r"\bto (?:reach|contact|be|hear|confirm|cancel|opt|stop|end|start|unsubscribe|book)\b|"
    r"\b(?:schreib\w*|sag\w*|nenn\w*|teil\w*|melde\w*|antwort\w*|frag\w*|geb\w*|gib|informier\w*|send\w*|schick\w*)(?: sie)? (?:uns|mir|an uns)\b|\bfragen sie\b|"
    r"\b(?:escrib\w*nos|dinos|diganos|avis\w*nos|indiqu\w*nos|pregunt\w*nos|envi\w*nos|mandenos|llam\w*nos)\b|"
    r"\b(?:ecrivez|dites|indiquez|repondez|demandez|envoyez|informez|precisez|appelez)[- ]nous\b|\b(?:scriv|dit|indic|inform|rispond|chied|mand|invi)\w*ci\b|"
    r"\b(?:escreva|diga|informe|responda|envie|pergunte|avise)(?:-nos| para nos)\b|\b(?:schrijf|zeg|vertel|meld|stuur|laat) (?:het )?ons\b|"
    r"\b(?:напиш\w*|пиш\w*|скаж\w*|сообщ\w*|спрос\w*|ответ\w*|повідом\w*|кажіть) нам\b|\b(?:napisz\w*|powiedz\w*|podaj\w*|odpowiedz\w*|zapytaj\w*) (?:do )?na[sm]\b|"
    r"\bbize (?:yaz\w*|soyle\w*|bildir\w*|sor\w*)"
)
_THAT = r"(?: \w+){0,3}(?:,? (?:that|so|dass|que|qu'|che|dat|что|чтобы|що|щоб|ze|zeby|aby|diye)\b|: |,? [\"“«„'‘]| with the (?:words?|line|phrase)\b| как\b)"
# Told to whoever answers, whatever it is called.
TO_STAFF = foldable(
    r"\b(?:notes?|reminders?|memos?|instructions?|messages?|hints?|attention|info|guidance|tips?|briefing|hinweis\w*|anweisung\w*|notiz\w*|an|nota|aviso|"
    r"instruccion\w*|consigne\w*|istruzion\w*|instruco\w*|avviso|bericht|instructie\w*|заметк\w*|памятк\w*|инструкци\w*|примітк\w*|пам'ятк\w*|"
    r"notatk\w*|uwag\w*|instrukcj\w*|not)\b[^.!?]{0,12}\b(?:to|for|an|fur|para|al|a|aux?|pour|per|ai|voor|aan|для|dla|do|icin)\b[^.!?]{0,20}\b(?:staff|team\w*|"
    r"colleagues?|desk|operators?|agents?|reps?|representatives?|reception\w*|whoever|clerks?|employees|crew|writers?|answer\w*|respond\w*|assistants?|"
    r"bots?|ai|models?|automat\w*|kolleg\w*|mitarbeit\w*|personal|empfang\w*|equipo|empleados|compañeros|companeros|recepcion\w*|equipe|collegues|"
    r"personnel|accueil|colleghi|operator\w*|colegas|atend\w*|collega\w*|medewerk\w*|сотрудник\w*|коллег\w*|оператор\w*|співробітник\w*|"
    r"колег\w*|pracownik\w*|obslug\w*|zespol\w*|personel|calisan\w*)\b|^\W*(?:staff|team|desk|colleagues|operators|crew|agents?)\s*(?:note|only|info)?\s*[:!,]"
)
OF_THIS_TEXT = foldable(
    r"\b(?:summari[sz]\w*|summar(?:y|ies)|quot(?:e|es|ing)|cit(?:e|es|ing)|us(?:e|es|ing)|paraphras\w*|shar(?:e|es|ing)|relay\w*|draw\w* (?:on|from)|based on|from) "
    r"(?:of |from )?(?:this|the above|the present) (?:page|text|document|article|entry|passage|section|sheet|information)\b"
)
# A text that speaks of its own sentences does not speak to customers.
OF_ITSELF = foldable(
    r"\b(?:sentence|line|words|phrase|paragraph|satz|zeile|absatz|worte|frase|linea|parrafo|palabras|phrase|ligne|mots|frase|riga|parole|linha|palavras|zin|zinnetje|"
    r"regel|woorden|фраз\w+|предложени\w+|строк\w+|слова|речення|рядок|рядк\w+|zdani\w+|slowa|wiersz|linijk\w+|cumle\w*|satir\w*)\b[^.!?]{0,25}\b(?:above|before|below|preced\w*|"
    r"after|here|quoted|cited|davor|oben|zitiert\w*|danach|darunter|vorher|zuvor|anterior\w*|citad\w+|arriba|abajo|siguiente|ci-dessus|ci-dessous|suivante?|sopra|sotto|seguente|precedente|acima|abaixo|"
    r"hierboven|hieronder|ervoor|выше|ниже|перед|вище|нижче|powyzej|ponizej|przed|yukaridaki|asagidaki|onceki)\b"
)
ALL = foldable(
    r"\b(?:every|each|all|any|our|standard|official|house|usual|proper|correct|right|only|stock|canned|short|honest|approved|outgoing|"
    r"jede\w*|alle\w*|unsere\w*|richtige\w*|todas?|todos|cada|nuestr\w+|correcta|chaque|toutes?|tous|nos|notre|bonne|ogni|tutt[ei]|nostr\w+|giusta|"
    r"nossas?|certa|elke?|onze|juiste|кажд\w+|все|всех|наш\w*|правильн\w+|кожн\w+|усі|всі|усіх|kazd\w+|wszystki\w+|nasz\w*|her|tum|dogru) (?:\w+ )?"
    r"(?P<reply>answers?|repl(?:y|ies)|responses?|correspondence|letters?|antwort\w*|respuestas?|reponses?|rispost[ae]|respostas?|antwoord\w*|ответ\w*|відповід\w*|"
    r"odpowied\w*|cevap\w*|yanit\w*)\b"
)
NEXT = foldable(
    r":\W*$|\b(?:following|below|next|as follows|thus|folgend\w*|nachsteh\w*|untenstehend\w*|siguiente\w*|suivant\w*|seguent\w*|seguinte\w*|volgende\w*|следующ\w*|"
    r"наступн\w*|nastepuj\w*|asagidaki)\b|\b(?:this|these|diese\w*|est[ae]s?|cett?e|ces|quest\w+|est[ae]s?|deze|dit|эт\w+|ц[яюеі]\w*|t[eęąy]n?|bu|su)(?: \w+)? (?:one|line|words?|"
    r"sentence|phrase|note|text|verse|slogan|zeile|satz|worte?|spruch|frase|linea|palabras|ligne|mots?|riga|parol\w+|linha|palavras|zin\w*|woord\w*|фраз\w+|слов\w+|"
    r"строк\w+|рядо?к\w*|zdani\w+|slow\w+|cumle\w*)\b|\b(?:it is|it's|es ist|es|c'est|e|het is|это|це|to) (?:this|diese\w*|est[ea]|celle-ci|quest[ao]|deze)\b|以下|次の|下面"
)
BEFORE = foldable(
    r"\b(?:above|before this|before it|just before|preceding|previous|last sentence|last line|that sentence|that line|foregoing|just said|just quoted|obig\w*|vorig\w*|vorherg\w*|letzte\w*|anterior\w*|preced\w*|ci-dessus|arriba|sopra|acima|"
    r"vorige|bovenstaand\w*|выше\w*|предыдущ\w*|попередн\w*|вище|powyzsz\w*|poprzedni\w*|yukaridaki|onceki)\b|上面|上記"
)
# An order to say what follows.
ORDERED = foldable(
    r"(?:^\W*|[.;:!?,(—–-]\s+|\b(?:to|and|or|then|please|kindly|always|never|must|should|shall|just|simply|also|we|staff|they) )"
    r"(?:say|answer|reply|respond|mention|state|claim|pretend|announce|declare|insist|explain|tell|sag\w*|antwort\w*|di|diga\w*|respond\w*|dis|dites|repond\w*|rispond\w*|"
    r"zeg|antwoord\w*|скаж\w*|ответ\w*|відпов\w*|powiedz\w*|odpowi\w*|soyle\w*)" + _THAT
)
# Talks that were had, or never: what an agent says in them is said to somebody else.
CUSTOMER_SAYS = foldable(
    r"^\W*(?:customer|client|guest|caller|visitor|user|buyer|shopper|patient|kundin|kunde|gast|nutzer|cliente|usuari[oa]|huesped|utilisat\w+|ospite|utente|klant|"
    r"покупат\w+|клиент\w*|гость|клієнт\w*|покупець|гість|klient\w*|gosc|musteri|顾客|客户|お客様)\s*[:：]"
)
SOMEBODY_SAYS = foldable(r"^\W*[^\W\d_][\w.’' -]{0,24}[:：]\s")
# Letters to be sent: from the salutation to the complimentary close.
SALUTATION = foldable(
    r"^\W*(?:hello|hi|dear|good (?:morning|day)|hallo|guten tag|liebe\w*|sehr geehrte\w*|hola|estimad\w+|buenos dias|bonjour|cher\w*|ciao|gentile|buongiorno|ola|car[oa]|"
    r"prezad\w+|beste|geachte|hoi|здравствуйте|добрый день|добрий день|вітаємо|доброго дня|dzien dobry|szanown\w+|czesc|merhaba|sayin)\b(?: [\w\[\]{}<>.-]+){0,4}\s*[,!]|"
    r"\b(?:thank you|thanks|many thanks) for (?:your (?:message|letter|question|enquiry|inquiry|note|mail|e-mail)|getting in touch|writing|contacting|asking|reaching out)\b|"
    r"\bdanke fur (?:ihre|deine) (?:nachricht|anfrage|mail)\b|\bgracias por (?:su|tu) (?:mensaje|consulta)|\bmerci (?:de|pour) (?:votre|ton|nous) (?:message|avoir)|"
    r"\bgrazie per (?:il tuo|il suo|averci)|\bobrigad\w+ (?:pela|por) (?:sua mensagem|contactar)|\bbedankt voor (?:uw|je) bericht|\bспасибо за (?:ваше|сообщение|вопрос|обращение)|"
    r"\bдякуємо за (?:ваше|повідомлення|звернення|запитання)|\bdziekujemy za (?:wiadomosc|kontakt|pytanie)"
)
CLOSE = foldable(
    r"\b(?:regards|yours|sincerely|best wishes|cheers|warmly|love from|gruss\w*|ihre?\w* team|saludos|atentamente|cordialement|a bientot|saluti|a presto|abraco|atenciosamente|"
    r"groet\w*|с уважением|з повагою|pozdrawiam\w*|saygilar\w*|crew|your .{0,20}team)\b"
)
# How something has to begin or end, as an order has it.
BOUND = foldable(
    r"\b(?:has to|have to|needs? to|must|should|shall|always|never fails to) (?P<verb>end|begin|start|close|finish|open|conclude)(?: \w+){0,2} (?:with|by|in)\b"
)
