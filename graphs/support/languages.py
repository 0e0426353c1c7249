"""Word lists of the languages that support conversations are mostly held in: data, one block per language.

Stop words carry no topic: articles, pronouns, auxiliaries, question words. They also tell the languages apart.
"""

_STOP = {
    "en": """
        available bring come find give go happen happens look make offer offered put see take takes taking use used
        using
        a about after all also am an and any are as at be been before but by can could did do does doing for from get
        got had has have he her hers him his how however i if in into is it its just let like long many may me might
        more most much must my near need no nor not of off often on one only onto or our out over please really she
        should so some soon still such tell than that the their them then there these they this those to too under
        until up us very want was way we were what when where whether which while who whom whose why will with within
        without would yes yet you your yours ll re ve don doesn didn isn aren wasn won can't cannot im ive hi hello
        hey thanks thank kind sort possible know wondering anyone someone something anything
    """,
    "de": """
        aber alle als also am an auch auf aus bei bin bis bitte da damit dann das dass dem den denn der des die dies
        diese diesem diesen dieser dieses doch du ein eine einem einen einer eines er es etwas euch euer eure für gibt
        geht haben habe hat hatte ich ihnen ihr ihre ihrem ihren ihrer im in ist ja kann kannst können könnt man mein
        meine meinem meinen meiner mich mir mit muss möchte möchten nach nein nicht noch nur ob oder ohne sehr sein
        seine sich sie sind so soll über um und uns unser unsere unter viel viele vom von vor wann war warum was wegen
        welche welcher welches wenn wer werden wie wieviel will wir wird wo wollen würde zu zum zur lange hallo danke
    """,
    "es": """
        a al algo alguna algún ante aquí como cómo con cual cuál cuáles cuando cuándo cuánto cuánta cuántos cuántas de
        del desde donde dónde el él ella en entre era es esa ese eso esta está están este esto estoy fue gracias ha
        hace hacer hacia hasta hay hola la las le les lo los más me mi mis mucho muy nada no nos nosotros o para pero
        poco por porque puede puedo pueden qué que quién quiero se ser si sí sin sobre son su sus también tarda
        tiempo tengo tiene tienen tu tus un una unas uno unos usted vosotros y ya yo
    """,
    "fr": """
        à ai après au aux avec avez avoir bonjour ce cela ces cet cette combien comme comment dans de depuis des dois
        doit donc du elle elles en est et êtes eu faire fait faut il ils je jour la là le les leur leurs lui ma mais
        me merci mes moi mon ne nos notre nous on ont ou où par pas peut peux plus pour pourquoi puis quand que quel
        quelle quelles quels qui quoi sa sans se ses si son sont sous sur ta te temps tes toi ton tous tout très tu un
        une vos votre vous y était être l d j qu s n c m t
    """,
    "it": """
        a ai al alla alle anche c che chi ci ciao come con cosa cui da dal dalla dei del della delle di dopo dove e è
        era essere fare fra gli grazie ha hai hanno ho i il in io l la le lei li lo loro lui ma me mi mia mie miei mio
        molto ne nei nel nella no noi non nostra nostro o ogni per perché però più poi posso può qual quale quali
        quando quanti quanto quanta quante quello questa queste questi questo se senza si sì sia sono su sua sue sul
        sulla suo tra tu tua tuo tutti un una uno vi voi vorrei vostra vostro
    """,
    "pt": """
        a ao aos as até bom boa com como da das de dela dele depois do dos e é ela ele eles em entre era essa esse
        esta está este estou eu fazer foi há isso isto já lhe mais mas me meu meus minha muito na não nas nem no nos
        nossa nosso o obrigado olá onde os ou para pela pelo por porque posso pode podem qual quais quando quanto
        quanta quantos quantas que quem quero se sem ser seu seus são sim só sobre sua suas também te tem tempo tenho
        ter tu um uma você vocês vos
    """,
    "nl": """
        aan al alle als bij dan dat de deze die dit doe door dus een en er geen graag had heb hebben heeft hem het hij
        hoe hoeveel hun ik in is ja jaar je jij jouw jullie kan kunnen kunt lang maar me meer met mij mijn mijne moet
        na naar nee niet nog nu of om omdat ons onze ook op over te tegen toch tot u uit uw van veel voor waar waarom
        wanneer want waren was wat we wel welke werd wie wij wil wilde worden wordt zal ze zelf zich zij zijn zo
        zonder zou
    """,
    "ru": """
        а без будет бы был была были было быть в вам вас ваш ваша ваши весь во вот все вы где да для до его ее если
        есть еще же за здравствуйте и из или им их к как какая какие какой ко когда кто ли лишь мне можно мой моя мы
        на над надо нам нас наш не него нет ни но ну о об он она они от очень по под после при про с сам свой себя
        сколько со спасибо так также там то тоже только тут ты у уже хочу чего чем через что чтобы эта эти это этот я
        могу может
    """,
    "uk": """
        а або але б без би був була були було бути в вам вас ваш ваша ваші все ви від де для до його її за з зі і із
        їх й як яка яке який які коли хто лише мені можна мій моя ми на над нам нас наш не ні ну о об він вона вони
        дуже по під після при про та так також там те той тільки тут ти у вже хочу чого що щоб ця ці це цей через чи я
        можу може є скільки дякую
    """,
    "pl": """
        a aby albo ale ani będzie być był była było ci co czy dla dlaczego do gdy gdzie go i ich ile jak jaka jaki
        jakie jako je jednak jego jej jest jestem jeśli już kiedy kto która które który lub ma mają mam mi mnie mogę
        może można moja moje mój muszę my na nad nam nas nasz nie nich nim no o od on ona one oni oraz po pod poza
        proszę przed przez przy są się skąd ta tak także tam te tego tej ten to tu ty tylko tym u w wam was wasz we
        więc wszystko wy z za ze że żeby chcę dziękuję
    """,
    "tr": """
        acaba ama ben bana beni benim bir biraz biz bize bizim bu bunu burada çok çünkü da daha de değil diye en gibi
        göre ha hangi hem hep her hiç için ile ise kaç kadar ki kim mi mı mu mü nasıl ne neden nerede nereye niye o ol
        olarak olan oldu olur on ona onlar onu sen siz sizin şey şu ve veya ya yok var zaman merhaba teşekkürler
        misiniz miyim musunuz
    """,
}
STOP = {language: frozenset(block.split()) for language, block in _STOP.items()}

# Spelled numbers, so that "three days" and "3 days" agree; a dash where a language needs more than one word.
_NUMBERS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 20, 24, 30, 48, 60, 90, 100)
_NUMBER_WORDS = {
    "en": """
        two three four five six seven eight nine ten eleven twelve fourteen twenty twenty-four thirty forty-eight
        sixty ninety hundred
    """,
    "de": """
        zwei drei vier fünf sechs sieben acht neun zehn elf zwölf vierzehn zwanzig vierundzwanzig dreißig
        achtundvierzig sechzig neunzig hundert
    """,
    "es": """
        dos tres cuatro cinco seis siete ocho nueve diez once doce catorce veinte veinticuatro treinta - sesenta
        noventa cien
    """,
    "fr": """
        deux trois quatre cinq six sept huit neuf dix onze douze quatorze vingt vingt-quatre trente quarante-huit
        soixante quatre-vingt-dix cent
    """,
    "it": """
        due tre quattro cinque sei sette otto nove dieci undici dodici quattordici venti ventiquattro trenta
        quarantotto sessanta novanta cento
    """,
    "pt": """
        dois três quatro cinco seis sete oito nove dez onze doze catorze vinte - trinta - sessenta noventa cem
    """,
    "nl": """
        twee drie vier vijf zes zeven acht negen tien elf twaalf veertien twintig vierentwintig dertig achtenveertig
        zestig negentig honderd
    """,
    "pl": """
        dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście czternaście dwadzieścia -
        trzydzieści - sześćdziesiąt dziewięćdziesiąt sto
    """,
    "ru": """
        два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать четырнадцать двадцать - тридцать -
        шестьдесят девяносто сто
    """,
}
NUMBER_WORDS_OF = {
    language: {word: str(number) for word, number in zip(block.split(), _NUMBERS, strict=True) if word != "-"}
    for language, block in _NUMBER_WORDS.items()
}
NUMBER_WORDS = {word: number for known in NUMBER_WORDS_OF.values() for word, number in known.items()}

# What a reply may say of its own accord: greeting, thanks, an offer of more help. Nothing in here states a fact.
_COURTESY = """
    apologize apologise confusion confused confusing
    absolutely anything ask assist assistance bye contact course day dear else feel forward further glad good
    great happy hear help helps hello hey hi hope know let message nice okay ok please pleasure question questions
    reach sorry sure team thank thanks today welcome write understand apologies reaching inquiry abend beste bitte
    danke dank frage fragen freundliche gern gerne grüße gruß guten hallo helfen hilft hoffe morgen rückfragen
    schreiben tag verfügung weitere weiteren weiterhelfen wünsche stehen jederzeit algo ayuda ayudar ayudarle ayudarte
    buenas buenos cualquier días duda encantado espero favor gracias gusto hola pregunta preguntas puedo saludos
    tardes aide aider aidez besoin bien bonjour bonsoir cordialement espère hésitez journée plaisir serviable
    volontiers aiuto aiutare aiutarla aiutarti buona buongiorno ciao domande domanda giornata grazie piacere prego
    spero ajuda ajudar bom dia dúvida dúvidas obrigada obrigado olá perguntas pergunta dag fijne graag helpen hoop
    vraag vragen welkom groeten вопрос вопросы день добрый здравствуйте обращайтесь пожалуйста помочь привет рады
    спасибо будем вітаю дякую допомогти питання привіт радо cześć dobry dzień dziękuję pomóc pozdrawiam pytania witam
    geschehen günler iyi merhaba rica sorularınız sorunuz teşekkürler yardımcı
"""
COURTESY = frozenset(_COURTESY.split())

# Words that turn a statement around.
_NEGATION = {
    "en": "not never cannot rather instead unless",
    "de": "nicht kein keine keinen keinem keiner nie niemals statt",
    "es": "no nunca jamás",
    "fr": "ne pas jamais plus",
    "it": "non mai",
    "pt": "não nunca jamais",
    "nl": "niet geen nooit",
    "ru": "не нет нельзя никогда",
    "uk": "не немає ніколи",
    "pl": "nie nigdy",
    "tr": "değil yok asla",
}
NEGATION = {language: frozenset(block.split()) for language, block in _NEGATION.items()}

# Words that make a statement go for every case, which is a promise where the source does not.
_SWEEPING = """
    always anytime anybody anyone anywhere every everybody everyone everywhere whatever whenever wherever whichever
    guarantee guaranteed guarantees automatically regardless unlimited instantly free
    immer jederzeit überall beliebig beliebige garantiert automatisch unbegrenzt kostenlos gratis egal sofort
    siempre cualquier cualquiera garantizado automáticamente ilimitado toujours chaque partout n'importe garanti
    automatiquement illimité gratuit gratuitement sempre qualsiasi ogni ovunque garantito automaticamente illimitato
    gratuito gratuitamente qualquer garantido ilimitado grátis altijd elke elk iedere ieder overal gegarandeerd
    onbeperkt всегда любой любое любые каждый везде бесплатно гарантируем автоматически завжди кожен всюди
    безкоштовно гарантуємо автоматично zawsze każdy każda każde każdego wszędzie gwarantujemy automatycznie bezpłatnie
    daima herkes ücretsiz otomatik sınırsız
"""
SWEEPING = frozenset(_SWEEPING.split())

# English words that customers and help pages use for the same thing, as stems; the first stands for all.
_SYNONYMS = """
    refund reimburs
    deliveri ship deliv shipment dispatch
    cost price fee
    order purchas bought buy
    damag broken fault faulti defect
    cancel undo
    chang alter modifi amend
    phone telephon call
    parcel packag
    pay paid payment
    gift present
    voucher coupon
    store shop
    guarante warranti
    mail email
    item product articl
    size fit
    hour open
    repair fix
    discount sale
    delet remov eras
    reset forgot
"""
SYNONYMS = {stem: group.split()[0] for group in _SYNONYMS.strip().splitlines() for stem in group.split()}
_IRREGULAR = """
    sent:send bought:buy paid:pay got:get lost:lose broke:broken kept:keep took:take taken:take came:come gone:go
    went:go chose:choose chosen:choose brought:bring given:give gave:give forgotten:forgot cheaper:cheap
    arrived:arrive arrival:arrive
"""
IRREGULAR = dict(pair.split(":") for pair in _IRREGULAR.split())
