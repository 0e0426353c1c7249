"""Words of attacks on an assistant, by what they stand for: data, a line per language, written for this project.

Lines: en, de, es, fr, it, pt, nl, ru, uk, pl, tr, ar. A word stands for all that begin with it if it ends in `*`;
`_` is a blank. Scripts without blanks are in `UNSPACED`.
"""

_IGNORE = """
    ignore ignoring disregard* forget overrid* bypass* neglect discard supersede* overrul* violate cancel_all
    do_not_follow don't_follow stop_following no_longer_follow break_your abandon replaces instead_of_following
    ignorier* vergiss vergesst missacht* verwirf uberschreib* umgeh* befolge_nicht lass_alle
    ignora ignorar ignore olvida olvide* olvidar omite desobedece descarta anula haz_caso_omiso no_sigas
    ignore ignorez ignorer oublie oubliez oublier contourne* outrepasse* fais_abstraction ne_tiens_pas_compte
    ignora ignorare dimentica dimenticare scavalca trascura non_seguire scarta
    ignore ignora esqueca esquece desconsidere desconsidera despreze contorne
    negeer vergeet omzeil overschrijf schend
    игнориру* проигнориру* забудь* отбрось* не_обращай обойди нарушь отмени* не_следуй
    ігнору* проігнору* забудь* відкинь* не_зважай обійди порушуй* скасуй*
    ignoruj* zignoruj* zapomnij* pomin pomijaj odrzuc* obejdz nie_stosuj
    yok_say* gormezden_gel* unut* goz_ardi_et* bosver* iptal_et* dikkate_alma*
    تجاهل* انس تخط* اهمل* تجاوز*
"""

_RULES = """
    instruction* rules rule prompt prompts guideline* directive* programming restriction* safeguard* guardrail*
 safety_filter*
    anweisung* instruktion* regel regeln vorgabe* vorschrift* richtlinie* befehl*
    instruccion* reglas regla directric*
    instruction* consigne* regle regles directive*
    istruzion* regole regola direttiv* indicazioni
    instruco* regras regra diretriz*
    instructie* regels richtlijn* opdracht*
    инструкци* правил* указани* директив* промпт* установк*
    інструкці* правил* вказівк* директив* промпт*
    instrukcj* zasad* polecen* wytyczn* regul*
    talimat* kural* yonerge* komut*
    تعليمات* التعليمات القواعد قواعد اوامر الاوامر توجيهات التوجيهات
"""

_BEFORE = """
    previous prior above earlier preceding former all your these those system original initial foregoing
    vorherig* vorig* bisherig* obig* alle allen deine deinen ihre ihren samtliche* fruhere*
    anterior* previas previos todas tus sus precedentes
    precedent* anterieur* toutes tes vos ci-dessus
    precedent* tutte tue sue sopra
    anterior* todas suas tuas acima
    vorige voorgaande eerdere alle je jouw bovenstaande
    предыдущ* все всех свои твои ваши прежн* прошлы* выше
    попередн* всі усі свої твої ваші вище
    poprzedni* wszystki* swoje twoje powyzsz*
    onceki tum butun sistem yukaridaki daha_once*
    السابقه السابقة جميع كل سابق
"""

_REVEAL = """
    reveal* show print repeat output display leak expose disclose dump recite reproduce echo type spell encode translate
    give_me tell_me send_me write list share quote summari?e paraphras* describe what_is what_are what's what_were
    zeig* nenn* gib verrat* wiederhol* druck* offenbar* schreib* ubersetz* was_ist was_steht wie_laut*
    muestra* revela* di dime repite imprime escribe cual_es cuales_son traduce
    montre* revele* affiche* repete* donne* ecris quel_est quelles_sont traduis
    mostra* rivela* ripeti stampa scrivi dammi qual_e quali_sono traduci
    mostre revele repita imprima escreva diga qual_e quais_sao traduza
    toon onthul herhaal print geef schrijf wat_is wat_zijn vertaal
    покажи* раскро* повтори* выведи* напечатай* напиши* назови* какие какой переведи*
    покажи* розкрий* повтори* виведи* надрукуй* напиши* назви які який переклади*
    pokaz* ujawnij* powtorz* wypisz* wydrukuj* napisz* podaj* jaki* przetlumacz*
    goster* acikla* tekrarla* yazdir* soyle* paylas* nedir cevir*
    اعرض* اظهر* اكشف* كرر* اطبع* اكتب* ما_هي ترجم*
"""

_PROMPT = """
    system_prompt* system_message* system_instruction* system_text hidden_prompt* hidden_instruction* initial_prompt*
    initial_instruction* original_prompt* original_instruction* secret_prompt* secret_instruction* internal_instruction*
    internal_prompt* developer_message* preprompt pre-prompt confidential_instruction* base_prompt
    meta_prompt

    systemprompt* system-prompt* systemanweisung* systemnachricht* geheime*_anweisung* interne*_anweisung*
    your_initial_instruction* your_original_instruction* your_hidden_instruction* your_secret_instruction* your_initial_prompt
    prompt_del_sistema instrucciones_del_sistema mensaje_del_sistema instrucciones_ocultas instrucciones_iniciales
    prompt_systeme prompt_du_systeme instructions_systeme instructions_du_systeme message_systeme instructions_cachees
    prompt_di_sistema istruzioni_di_sistema messaggio_di_sistema istruzioni_nascoste
    prompt_do_sistema instrucoes_do_sistema mensagem_do_sistema instrucoes_ocultas prompt_de_sistema
    systeemprompt* systeeminstructie* systeembericht
    системн*_промпт* системн*_сообщени* системн*_инструкци* системн*_подсказк* скрыт*_инструкци*
    системн*_промпт* системн*_повідомлен* системн*_інструкці* прихован*_інструкці*
    prompt*_systemow* systemow*_prompt* instrukcj*_systemow* ukryt*_instrukcj*
    sistem_mesaj* sistem_talimat* sistem_prompt* sistem_istem* gizli_talimat*
    تعليمات_النظام موجه_النظام رساله_النظام رسالة_النظام
"""

_HIDDEN = """
    secret_key secret_password secret_word secret_code secret_phrase passphrase passcode canary
 secret_keyword
    geheimes_passwort geheimwort geheimer_schlussel dein_passwort geheimcode
    clave_secreta contrasena_secreta palabra_secreta tu_contrasena codigo_secreto
    cle_secrete mot_de_passe_secret mot_secret ton_mot_de_passe code_secret
    chiave_segreta parola_segreta password_segreta codice_segreto
    chave_secreta senha_secreta palavra_secreta sua_senha codigo_secreto
    geheime_sleutel geheim_wachtwoord geheime_code
    секретн*_ключ* секретн*_парол* секретн*_слово секретн*_код*
    секретн*_ключ* секретн*_парол* секретн*_слово секретн*_код*
    tajn*_klucz* tajn*_hasl* sekretn*_hasl* tajn*_kod*
    gizli_anahtar* gizli_sifre* gizli_kelime* gizli_kod*
    كلمه_السر كلمة_السر المفتاح_السري
"""

_ASSISTANT = """
    ai ais a.i assistant* chatbot* chat_bot* bot bots llm llms gpt* chatgpt claude gemini copilot language_model* ai_model*
    the_model virtual_agent* ai_agent* support_agent_reading automated_agent automated_system*
    ki ki-* assistent* sprachmodell* ki_modell*
    ia asistente* modelo_de_lenguaje
    assistant* modele_de_langage
    assistente* modello_linguistico
    assistente* modelo_de_linguagem
    ai-assistent* taalmodel* chatbot*
    ии ассистент* бот бота боту чат-бот* чатбот* нейросет* языков*_модел*
    ші асистент* бот бота боту чат-бот* чатбот* мовн*_модел* помічник-бот
    asystent* sztuczn*_inteligencj* model_jezykow* bot bota
    yapay_zeka* asistan* dil_model* sohbet_robot*
    المساعد مساعد الذكاء روبوت النموذج
"""

# An order to say something, as an assistant is given it.
_SAY = """
    say print output respond reply answer write repeat echo include insert append prepend add mention incorporate integrate
    put state recommend suggest promote advertise claim tell inform start begin end finish conclude return display
    embed type use attach advise quote close sign translate
    sag sage sagen schreib schreibe antworte antworten gib fuge wiederhole erwahne empfiehl beende beginne nenne teile
    di diga responde responda escribe escriba incluye incluya anade agrega repite menciona recomienda termina empieza
    dis dites reponds repondez ecris ecrivez inclus incluez ajoute ajoutez repete mentionne recommande termine commence
    di' di rispondi scrivi includi aggiungi ripeti menziona raccomanda termina inizia
    diga responda escreva inclua adicione acrescente repita mencione recomende termine comece
    zeg antwoord schrijf voeg herhaal vermeld beveel eindig begin
    скажи* ответь* отвечай* напиши* пиши* включи* добавь* добавля* повтори* упомяни* рекоменду* заканчивай* сообщи*
    скажи* відповідай* відповідь_має напиши* пиши* включи* додай* додавай* повтори* згадай* рекомендуй* закінчуй* повідом*
    powiedz* odpowiedz odpowiadaj* napisz* pisz dodaj* dolacz* powtorz* wspomnij* polecaj* zakoncz* koncz
    soyle* de yanitla* cevapla* yaz ekle* tekrarla* belirt* oner* bitir*
    قل قولي اجب اكتب اضف كرر اذكر اختم
"""

_REPLY = """
    answer answers reply replies response responses output outputs completion message_to_the_customer
    antwort antworten ausgabe
    respuesta respuestas
    reponse reponses
    risposta risposte
    resposta respostas
    antwoord antwoorden
    ответ ответа ответе ответы ответу ответов сообщени*
    відповідь відповіді відповідей
    odpowiedz odpowiedzi odpowiedziach
    cevap* yanit*
    رد ردك اجابتك اجابه الرد الاجابه اجابة
"""

_CUSTOMERS = """
    customer customers user users reader readers client clients visitor visitors everyone everybody anyone whoever
    them him her person people the_buyer buyers shopper*
    kunde kunden kundin kundinnen nutzer* leser* jedem allen
    cliente clientes usuario* lector*
    client clients cliente* utilisateur* lecteur*
    cliente clienti utente utenti
    cliente clientes usuario*
    klant klanten gebruiker*
    клиент* покупател* пользовател* всем
    клієнт* покупц* користувач* усім всім
    klient* uzytkownik* wszystkim
    musteri* kullanici*
    العميل العملاء المستخدم الزبون الزبائن
"""

UNSPACED = {
    "ignore": "忽略 无视 無視 忘记 忘記 忘れて 不要理会 無視して 不理会",
    "rules": "指令 指示 规则 規則 提示 命令 ルール プロンプト 说明 設定 命令",
    "before": "之前 以前 先前 所有 一切 上面 以上 前の 全て すべて これまで 今までの 你的 あなたの",
    "reveal": "显示 显示 打印 输出 重复 告诉我 透露 表示 出力 教えて 繰り返 公开 翻译 見せて 写出 说出",
    "prompt": "系统提示 系統提示 系统指令 システムプロンプト システム指示 隐藏指令 初始指令 隠された指示 提示词",
    "secret": "密钥 暗号 秘密の 秘密密码 口令 パスワードを教",
    "assistant": "助手 机器人 人工智能 智能体 アシスタント 人工知能 ボット 言語モデル 语言模型 大模型 チャットボット",
    "say": "说 回答 回复 答复 输出 写 告诉 包含 加上 添加 重复 提及 推荐 言って 答えて 返答 書いて 含めて 追加 伝えて 出力 と言え と答え 加えて 付けて 返信",
    "reply": "回答 回复 答复 返答 返信 回答中 答え 応答",
    "customers": "客户 顾客 用户 お客様 ユーザー 顧客 所有人",
}

CONCEPTS = {
    "ignore": _IGNORE,
    "rules": _RULES,
    "before": _BEFORE,
    "reveal": _REVEAL,
    "prompt": _PROMPT,
    "secret": _HIDDEN,
    "assistant": _ASSISTANT,
    "say": _SAY,
    "reply": _REPLY,
    "customers": _CUSTOMERS,
}
