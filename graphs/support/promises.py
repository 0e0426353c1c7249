"""Promises of what the agent cannot do: it can answer and hand over, and has done nothing and will do nothing."""

import re
from collections.abc import Sequence

from graphs.support.normalising import folded

_DONE = (
    "refunded cancelled canceled sent shipped dispatched ordered booked changed updated processed issued credited "
    "forwarded escalated arranged scheduled reserved submitted initiated started approved applied added removed deleted "
    "reset created opened closed extended upgraded replaced transferred contacted notified informed confirmed fixed logged "
    "placed registered activated deactivated unlocked waived expedited e-mailed emailed called checked reviewed filed"
).replace(" ", "|")
_DO = (
    (
        "refund cancel send ship dispatch order book change update process issue credit forward escalate arrange schedule "
        "reserve submit initiate start approve apply add remove delete reset create open close extend upgrade replace transfer "
        "contact notify confirm fix place register activate deactivate unlock waive expedite email e-mail call make take care of "
        "get back follow up look into check file personally give grant"
    )
    .replace("take care of", "take~care~of")
    .replace("get back", "get~back")
    .replace("follow up", "follow~up")
    .replace("look into", "look~into")
    .replace(" ", "|")
    .replace("~", " ")
)

_PROMISES = (
    # English
    rf"\bi(?:'ve| have| had)(?: (?:just|already|now|also|gone ahead and|successfully))* (?:{_DONE})\b",
    rf"\bi (?:just |already |now |hereby )?(?:{_DONE})\b(?! (?:that|by))",
    rf"\b(?:i'll|i will|i shall|i'm going to|i am going to|let me|i can|i promise to|allow me to)"
    rf"(?: (?:now|just|also|gladly|happily|immediately|personally|go ahead and|right away))* (?:{_DO})\b",
    r"\bi(?:'m| am)(?: now| currently| already)? (?:refunding|cancell?ing|sending|shipping|processing|issuing|changing|"
    r"updating|forwarding|escalating|arranging|booking|initiating|contacting|checking|looking into)\b",
    rf"\b(?:we(?:'ve| have))(?: (?:just|already|now))* (?:{_DONE}) (?:your|you|the)\b",
    r"\bwe(?:'ll| will) (?:refund|cancel|send|ship|credit|call|email|contact|issue|replace|give)\b[^.!?]{0,30}\b(?:you|your)\b",
    rf"\byour (?:order|refund|request|account|subscription|booking|parcel|payment|return|ticket|appointment|reservation|address"
    rf"|replacement|case|claim)s? (?:has|have) (?:now |just |already |been |successfully )*been (?:\w+ly )?(?:{_DONE})\b",
    r"\b(?:consider it done|it's done|it is done|all set|done for you)\b|\bi(?:'ve| have) (?:taken care|made sure|gone ahead)",
    r"\bi (?:guarantee|promise)\b|\bwe (?:guarantee|promise) (?:you|that your)\b|\ba colleague (?:has|will) (?:\w+ )?(?:already )?"
    r"(?:refund|cancel|send|ship)",
    # German
    r"\bich habe?\b[^.!?]{0,80}\b(?:storniert|erstattet|zuruckerstattet|gesendet|geschickt|verschickt|versandt|bestellt|gebucht|"
    r"geandert|aktualisiert|veranlasst|beantragt|weitergeleitet|gutgeschrieben|uberwiesen|angelegt|geloscht|eingeleitet|"
    r"reserviert|verlangert|hinterlegt|informiert|gepruft|erledigt|gekundigt|ausgelost|freigegeben|zugesandt)\b",
    r"\b(?:ich werde|ich kann|lassen sie mich|gerne werde ich|werde ich)\b[^.!?]{0,80}\b(?:stornieren|erstatten|zuruckerstatten|senden|schicken|"
    r"zusenden|verschicken|bestellen|buchen|andern|aktualisieren|veranlassen|beantragen|weiterleiten|gutschreiben|uberweisen|"
    r"anlegen|loschen|einleiten|reservieren|verlangern|prufen|kummern|kundigen|anrufen|zukommen lassen)\b",
    r"\bich (?:storniere|erstatte|sende|schicke|buche|bestelle|uberweise|veranlasse|leite|kummere|andere|kundige|schreibe)\b"
    r"(?! (?:als|hier))",
    r"\bihre? (?:bestellung|erstattung|ruckerstattung|paket|anfrage|konto|abo|buchung|zahlung)\w* wurde[^.!?]{0,40}\b(?:storniert|erstattet|"
    r"veranlasst|geandert|verschickt|eingeleitet|geloscht|gekundigt|ausgelost)\b",
    # Spanish
    r"\bhe (?:ya )?(?:cancelado|reembolsado|enviado|cambiado|actualizado|procesado|solicitado|tramitado|pedido|reservado|"
    r"gestionado|anulado|devuelto|iniciado|eliminado|confirmado|reenviado|abonado)\b",
    r"\b(?:voy a|le|te|les) ?(?:cancelar|reembolsar|enviar|cambiar|actualizar|procesar|tramitar|gestionar|anular|reservar|"
    r"devolver|llamar|abonar)(?:e|emos|le|te|lo|la)?\b",
    r"\b(?:cancelare|reembolsare|enviare|cambiare|actualizare|procesare|tramitare|gestionare|anulare|llamare)\b",
    r"\bsu (?:pedido|reembolso|solicitud|cuenta)[^.!?]{0,20}\b(?:ha sido|fue|ya esta) (?:cancelad|reembolsad|enviad|procesad|"
    r"tramitad|anulad|cambiad)\w+",
    # French
    r"\bj'ai (?:deja |bien )?(?:annule|rembourse|envoye|change|modifie|mis a jour|traite|commande|reserve|transmis|transfere|"
    r"effectue|demande|lance|cree|supprime|confirme)\b",
    r"\b(?:je vais|laissez-moi|je peux) (?:vous |immediatement |maintenant )*(?:annuler|rembourser|envoyer|changer|modifier|mettre a jour|traiter|"
    r"commander|reserver|transmettre|transferer|effectuer|appeler|recontacter|verifier|creer|supprimer)\b",
    r"\bje (?:vous )?(?:annule|rembourse|envoie|modifie|transmets|reserve|annulerai|rembourserai|enverrai|rappellerai)\b",
    r"\bvotre (?:commande|remboursement|demande|compte)[^.!?]{0,20}\ba (?:bien )?ete (?:annule|rembourse|envoye|traite|effectue|modifie|"
    r"lance)\w*",
    # Italian
    r"\bho (?:gia )?(?:annullato|cancellato|rimborsato|inviato|spedito|cambiato|modificato|aggiornato|elaborato|ordinato|"
    r"prenotato|inoltrato|richiesto|avviato|eliminato|confermato)\b",
    r"\b(?:provvedero|annullero|cancellero|rimborsero|inviero|spediro|modifichero|aggiornero|inoltrero|chiamero)\b",
    r"\b(?:sto per|posso|vado a) (?:annullar|cancellar|rimborsar|inviar|spedir|modificar|aggiornar|inoltrar)\w+",
    r"\bil (?:suo|tuo) (?:ordine|rimborso|account)[^.!?]{0,20}\be stato (?:\w+ )?(?:annullat|rimborsat|inviat|modificat|avviat)\w+",
    # Portuguese
    r"\b(?:eu )?(?:ja )?(?:cancelei|reembolsei|enviei|mudei|alterei|atualizei|processei|solicitei|encomendei|reservei|"
    r"encaminhei|iniciei|apaguei|confirmei|estornei)\b",
    r"\b(?:vou|irei|posso) (?:\w+ )?(?:cancelar|reembolsar|enviar|mudar|alterar|atualizar|processar|solicitar|reservar|"
    r"encaminhar|iniciar|ligar|estornar)\b",
    r"\b(?:o )?seu (?:pedido|reembolso)[^.!?]{0,20}\bfoi (?:\w+ )?(?:cancelad|reembolsad|enviad|processad|alterad)\w+",
    # Dutch
    r"\bik heb\b[^.!?]{0,60}\b(?:geannuleerd|terugbetaald|verzonden|gestuurd|verstuurd|besteld|geboekt|gewijzigd|aangepast|"
    r"verwerkt|doorgestuurd|aangevraagd|gereserveerd|verwijderd|geregeld)\b",
    r"\b(?:ik zal|ik ga|ik kan|laat me)\b[^.!?]{0,60}\b(?:annuleren|terugbetalen|sturen|verzenden|bestellen|boeken|wijzigen|"
    r"aanpassen|verwerken|doorsturen|aanvragen|reserveren|regelen|bellen)\b",
    r"\b(?:uw|je) (?:bestelling|terugbetaling|verzoek) is [^.!?]{0,20}(?:geannuleerd|terugbetaald|verzonden|verwerkt|gewijzigd)\b",
    # Russian
    r"\bя (?:уже |только что )?(?:отменил|вернул|отправил|изменил|обновил|оформил|заказал|забронировал|переслал|передал|"
    r"создал|удалил|подтвердил|возместил|перевел|запустил)[аи]?\b",
    r"\b(?:я )?(?:отменю|верну|отправлю|вышлю|изменю|обновлю|оформлю|закажу|забронирую|перешлю|передам|создам|удалю|возмещу|"
    r"переведу|проверю|позвоню|свяжусь)\b",
    r"\bваш\w* (?:заказ|возврат|запрос|аккаунт)[^.!?]{0,20}\b(?:отменен|возвращен|отправлен|оформлен|обработан|изменен)\w*",
    # Ukrainian
    r"\bя (?:вже |щойно )?(?:скасував|повернув|відправив|надіслав|змінив|оновив|оформив|замовив|забронював|переслав|передав|"
    r"створив|видалив|підтвердив|відшкодував)(?:ла)?\b|\bя (?:вже |щойно )?(?:скасувала|повернула|відправила|надіслала|змінила|"
    r"оновила|оформила|замовила|передала|створила)\b",
    r"\b(?:я )?(?:скасую|поверну|відправлю|надішлю|зміню|оновлю|оформлю|замовлю|забронюю|передам|створю|видалю|перевірю|"
    r"зателефоную)\b",
    r"\bваш\w* (?:замовлення|повернення|запит)[^.!?]{0,20}\b(?:скасовано|повернуто|відправлено|оформлено|змінено)",
    # Polish
    r"\b(?:anulowal|zwrocil|wyslal|zmienil|zaktualizowal|przetworzyl|zamowil|zarezerwowal|przekazal|zlozyl|utworzyl|usunal|"
    r"potwierdzil)(?:em|am)\b|\busunelam\b",
    r"\b(?:anuluje|zwroce|wysle|zmienie|zaktualizuje|zamowie|zarezerwuje|przekaze|utworze|usune|sprawdze|zadzwonie)\b(?! sie)",
    r"\b(?:twoj|twoje|panstwa|pana|pani) (?:zamowienie|zwrot|zlecenie)[^.!?]{0,20}\bzostal[oay]? (?:\w+ )?(?:anulowan|zwrocon|"
    r"wyslan|zmienion|zlozon)\w+",
    # Turkish
    r"\b(?:iptal ettim|iade ettim|gonderdim|degistirdim|guncelledim|siparis ettim|ilettim|olusturdum|sildim|onayladim|baslattim|"
    r"rezerve ettim)\b",
    r"\b(?:iptal edecegim|iade edecegim|gonderecegim|degistirecegim|guncelleyecegim|iletecegim|olusturacagim|silecegim|"
    r"arayacagim|kontrol edecegim|iptal ediyorum|iade ediyorum|gonderiyorum)\b",
    r"\b(?:siparisiniz|iadeniz|talebiniz) (?:\w+ )?(?:iptal edildi|gonderildi|islendi|degistirildi|baslatildi|olusturuldu)\b",
)
_PATTERN = re.compile("|".join(folded(promise) for promise in _PROMISES))


def promised(texts: Sequence[str], sources: Sequence[str]) -> list[str]:
    """The sentences that promise an action of the agent, unless a source says the same of the business, word for word."""
    said = [" ".join(folded(source).split()) for source in sources]
    return [text for text in texts if (found := _PATTERN.search(folded(text))) and not _said(found.group(), said)]


def _said(words: str, sources: Sequence[str]) -> bool:
    return any(" ".join(words.split()) in source for source in sources)
