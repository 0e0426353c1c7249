"""Function words by language (ISO 639-1), casefolded, without apostrophes: too common to tell passages apart.

Written for this project; short on purpose, because the index weighs every other frequent word down by itself (IDF).
"""

_LISTS = {
    "en": """a about after again all also am an and any are aren as at be because been before being both but by can
        could couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn
        have haven having he her here hers herself him himself his how i if in into is isn it its itself just ll m
        me more most my myself no nor not now o of off on once only or other our ours ourselves out over own re s
        same she should shouldn so some such t than that the their theirs them themselves then there these they
        this those through to too under until up ve very was wasn we were weren what when where which while who
        whom why will with won would wouldn you your yours yourself yourselves""",
    "de": """aber alle allem allen aller alles als also am an ander andere anderen anderer anderes auch auf aus bei
        beim bin bis bist da damit dann das dass dein deine deinem deinen deiner dem den denn der des dessen dich
        die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines er es
        etwas euch euer eure für gegen habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem
        ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jene jener jetzt kann kein keine keinem
        keinen keiner können könnte man mein meine meinem meinen meiner mich mir mit muss müssen nach nicht nichts
        noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit selbst sich sie sind so solche soll
        sollte sondern sonst über um und uns unser unsere unserem unseren unter vom von vor war waren warum was
        weil welche welchem welchen welcher welches wenn wer werde werden wie wieder will wir wird wirst wo wollen
        worden wurde wurden während zu zum zur zwar zwischen""",
    "fr": """à afin ai aie aient ainsi alors as au aucun aucune aussi autre autres aux avait avaient avant avec
        avez avoir avons c car ce cela ces cet cette ceux chez comme comment d dans de depuis des donc dont du elle
        elles en encore entre es est et étaient était étant été être eu eux fait faut il ils j je jusqu l la le les
        leur leurs lorsque lui m ma mais me même mes moi mon n ne ni nos notre nous on ont ou où par parce pas
        pendant peu peut pour pourquoi plus qu quand que quel quelle quelles quels qui quoi s sa sans se sera ses
        si son sont sous suis sur t ta te tes toi ton tous tout toute toutes tu un une vers voici voilà vos votre
        vous y""",
    "es": """a acá al algo alguna algunas alguno algunos ante antes aquel aquella aquellas aquello aquellos aquí
        así aun aunque bajo cada como cómo con contra cual cuál cuales cuáles cuando cuándo cuanto cuánto de del
        desde donde dónde dos durante e el él ella ellas ellos en entre era eran eres es esa esas ese eso esos esta
        está estaba estaban estado estamos están estar estas este esto estos estoy fue fueron ha haber había habían
        han has hasta hay he la las le les lo los más me mi mí mis mucho muchos muy nada ni no nos nosotros nuestra
        nuestras nuestro nuestros o os otra otras otro otros para pero poco por porque pues que qué quien quién
        quienes se sea ser será si sí sido sin sobre sois somos son soy su sus suya suyo también tan tanto te tengo
        ti tiene tienen toda todas todo todos tu tú tus tuya tuyo un una unas uno unos usted ustedes y ya yo""",
    "it": """a ad agli ai al alla alle allo anche ancora avere aveva avevano c che chi ci ciò coi col come con
        contro cosa così cui d da dagli dai dal dalla dalle dallo degli dei del dell della delle dello di dopo dove
        due e è ed era erano essere fa fino fra fu furono gli ha hai hanno ho i il in io l la le lei li lo loro lui
        ma me mi mia mie miei mio molto ne negli nei nel nell nella nelle nello no noi non nostra nostre nostri
        nostro o ogni per perché però più poi qua quale quali quando quanto quella quelle quelli quello questa
        queste questi questo qui quindi sarà se sei senza si sia siamo siete solo sono sta stata state stati stato
        su sua sue sugli sui sul sulla sulle sullo suo suoi tra tu tua tue tuo tuoi tutta tutte tutti tutto un una
        uno v vi voi vostra vostro""",
    "pt": """a à ao aos aquela aquelas aquele aqueles aquilo as às até cada com como da das de dela delas dele
        deles depois do dos e é ela elas ele eles em entre era eram essa essas esse esses esta está estão estas
        estava estavam este estes estou eu foi for foram há isso isto já lhe lhes mais mas me mesmo meu meus minha
        minhas muito muitos na não nas nem no nos nós nossa nossas nosso nossos num numa o onde os ou outra outras
        outro outros para pela pelas pelo pelos por porque qual quais quando quanto que quê quem são se sem ser
        será seu seus si sido só sobre sua suas também te tem têm tenho ter teu teus tinha toda todas todo todos tu
        tua tuas um uma umas uns você vocês""",
    "nl": """aan af al alle alleen als andere ben bent bij binnen dan dat de deze die dit doch doen door dus een
        eens en er ge geen had hadden heb hebben hebt heeft hem het hier hij hoe hun iets ik in is ja je jij jou
        jouw jullie kan kon kunnen maar me meer men met mij mijn moet moeten na naar niet niets nog nu of om omdat
        onder ons onze ook op over reeds te tegen ten ter toch toen tot u uit uw van veel voor waar waarom wanneer
        want waren was wat we welke werd werden wie wij wil willen word worden wordt ze zelf zich zij zijn zo
        zonder zou zouden zullen""",
    "sv": """alla allt än är at att av blev bli blir blivit bort då där dem den denna deras dess dessa det detta
        dig din dina ditt du efter ej eller en er era ert ett från för få får ha hade han hans har hela henne
        hennes hon honom hur här i icke ingen ingenting inget inom inte jag ju kan kunde man med mellan men mig min
        mina mitt mot mycket när ni någon något några nu och om oss på samma sedan sig sin sina sitt själv skall
        ska skulle som så sådan till under upp ut utan vad var vara varför varit varje vars vart vem vi vid vilka
        vilken vilket vår våra vårt åt över""",
    "da": """ad af alle alt anden at bare blev blive bliver da de dem den denne der deres det dette dig din dine
        disse dit dog du efter eller en end er et for fordi fra få får før ham han hans har havde have hende hendes
        her hos hun hvad hver hvem hvilken hvilket hvis hvor hvordan hvorfor hvornår i ikke ind ingen intet ja jeg
        jer jeres jo kan kunne kun lige man mange med meget mellem men mig min mine mit mod må ned nej noget nogen
        nogle nok nu når og også om op os over på selv sig sin sine sit skal skulle som sådan thi til ud uden under
        var vi vil ville vor vores være været""",
    "no": """alle alt andre at av bare ble blei bli blir blitt da de deg deim deira dem den denne der dere deres
        det dette di din disse ditt du eg ein eit eller en enn er et etter for fordi fra før få får ha hadde han
        hans har hennes henne her hun hva hvem hver hvilke hvilken hvis hvor hvordan hvorfor i ikke ikkje ingen inn
        jeg kan kun kunne man mange med meg meget mellom men mer mest min mine mitt mot mye må nei noe noen nå når
        og også om opp oss over på samme seg selv si sin sine sitt sjøl skal skulle slik som så til um under ut
        uten var ved vi vil ville vår vårt være vært å""",
    "fi": """ei eivät eli emme en että et ette hän häneen hänen hänet hänellä he heidän ja jo jos joka jonka jossa
        jota jotka joten joita juuri kanssa koska ku kuin kuinka kuka kun kuten me meidän meille mikä miksi millä
        millainen minkä minun minulla minulle minut minä missä mistä mitä mitkä mukaan mutta myös ne niiden niin
        niitä niissä nyt näiden nämä näitä ole olen olet olette oli olisi olivat olla olleet ollut olemme on ovat
        se sekä sen siinä siitä sille sillä sinun sinulla sinä sitä tai te teidän teille tämä tämän tässä tästä
        tätä tuo vaan vai vaikka vain vielä voi voin voivat""",
    "pl": """a aby albo ale ani aż bardzo bez będą będzie bo by był była było były być byli chce ci cię co coś czy
        czyli dla dlaczego do dużo gdy gdyż gdzie go i ich ile im inna inne inny innych iż ja jak jakie jakieś jaki
        jako je jednak jego jej jemu jest jestem jeszcze jeśli jeżeli już każdy każda kiedy kto która które którego
        której który których którym lub ma mają mam mi między mną mnie może można mój moja moje mu my na nad nam
        nas nasz nasza nasze nawet nic nich nie nią nim niego niej niż no o od ode on ona one oni ono oraz po pod
        podczas pomimo ponieważ proszę przed przez przy również są sam się skąd sobie swoje ta tak taka taki takie
        także tam te tego tej ten teraz też to tobą tobie tu tutaj twoja twoje twój ty tych tylko tym u w wam was
        wasz wasza wasze we więc wszystkich wszystkie wszystko wy z za ze że żeby""",
    "cs": """a aby ale ani ano asi až bez bude budou by byl byla byli bylo být co což či další dnes do ho i já jak
        jako je jeho jej její jejich jen jenž ještě ji jich jim jiné již jsem jsi jsme jsou jste k kam kde kdo kdy
        když ke která které který kteří ku má mají máme máte mé mezi mi mít mne mně mnou moje moji můj může my na
        nad nám námi nás náš naše ne nebo nechť není než nic ním nich o od on ona oni ono pak po pod podle pokud
        pouze potom pro proč proto protože první před přes při s se si sice své svých svým svůj ta tak také tam
        tato te tě tedy ten tento ti tím to tobě tohle toho tom tomu tu tuto ty tyto u už v vám vás váš vaše ve
        více však všechno vy z za zda zde ze že""",
    "ro": """a acea aceasta această aceea acel acela acele acest acesta aceste acestea aceşti acești acolo acum ai
        aici al ale alt alta alte am ar are aş aș asta astfel ați aţi au avea avem aveți ba bine că căci când care
        cărei căror cât câte către ce cel cele cei cine cu cum da dacă dar de deci deja deşi deși despre din după
        ea ei el ele era erau este eşti ești eu fără fi fie fiecare fii fost foarte îi îl îmi în încă între îşi își
        îți la le li lor lui mai mă mea mei mele meu mi mie mine mult ne nici niște noastră noi noştri noștri
        nostru nu o ori pe pentru peste poate prin sa să sale sau se şi și sub sunt suntem ta tale tău te tot toate
        toți tu un una unde unei unele unui unor va vă voastră voi vor vostru""",
    "ru": """а без более бы был была были было быть в вам вами вас ваш ваша ваше ваши весь во вот все всё всего
        всех всю вы где да даже для до его ее её ей ему если есть еще ещё же за зачем здесь и из или им ими их к
        как какая какие какой кем когда кого ком кому которая которого которой которые который которых кто куда ли
        либо между меня мне много может можно мой моя мои моё мое мы на над нам нами нас наш наша наше наши не него
        нее неё ней нельзя нет ни нибудь никто ними них ничего но ну о об он она они оно от очень перед по под
        после потому почему при про раз с сам сама сами свой своя своё свои себе себя сейчас со так такая такие
        такой там твой твоя тебе тебя тем теперь то тобой тогда того тоже той только том тому тот ту тут ты у уж
        уже хотя чего чей чем что чтобы чья эта эти этим этих это этого этой этом этот эту я""",
    "uk": """а або аби але б багато без би був була були було бути в вам вами вас ваш ваша ваше ваші вже ви від він
        вона вони воно все всі всіх всього для до добре дуже є з за зі і із інша інше інший інші й його йому її їй
        їм їх їхній коли кого кому котрий куди ледве лише ми між мені мене мій мої моя моє можна може на над навіть
        нам нами нас наш наша наше наші не нема немає неї ним них ні ніж ніхто нічого ну о об один од ось по поки
        при про проте під після сам сама самі свій своя своє свої себе собі та так така таке такий такі там твій
        твоя те тебе тепер ти тим тих ті тільки то тобі тоді того тож той тому ту тут у усе усі хіба хоч хоча хто
        це цей ці цих ця цього цьому чи чим чого чому ще що щоб щодо я як яка який яких якого які якщо""",
    "tr": """acaba ama ancak arasında artık aslında az bana bazen bazı belki ben beni benim bile bir biraz biri
        birkaç birçok biz bize bizi bizim böyle bu buna bunda bundan bunlar bunu bunun burada bütün çok çünkü da
        daha de değil diğer diye dolayı dolayısıyla eğer en fakat gibi göre hangi hatta hem henüz hep hepsi her
        herhangi hiç hiçbir için ile ilgili ise işte kadar karşı kendi kendini ki kim kime kimse mı mi mu mü nasıl
        ne neden nedenle nerede nereye niçin niye o olan olarak oldu olduğu olmak olması olsa olup ona ondan onlar
        onlara onları onların onu onun orada oysa öyle pek rağmen sadece sanki sen seni senin siz sizi sizin size
        sonra şey şimdi şöyle şu şunu tarafından tüm üzere var ve veya ya yani yerine yine yok yoksa zaten""",
}

STOP_WORDS: dict[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in _LISTS.items()}
