"""Public texts that the checklists of the frugality report were taken from."""

from __future__ import annotations

from api.schemas_frugality import Reference

AFNOR = Reference(
    title="A framework for measuring and reducing the environmental impact of AI",
    url="https://www.afnor.org/en/news/artificial-intelligence/"
    "reference-framework-reduce-environmental-impact-ai/",
    by="AFNOR",
)
MINISTRY = Reference(
    title="Publication du référentiel général pour l'IA frugale (press release, 28 June 2024)",
    url="https://www.ecologie.gouv.fr/presse/"
    "publication-du-referentiel-general-lia-frugale-sattaquer-limpact-environnemental-lia",
    by="French Ministry for the Ecological Transition",
)
GENERIA = Reference(
    title="AFNOR SPEC 2314: Best Practices in Frugal AI",
    url="https://generia.ai/en/blog/AFNOR-SPEC-2314-best-practices-in-frugal-AI",
    by="GenerIA, whose translation of the titles is used",
)
SILICON = Reference(
    title="Un référentiel AFNOR pour l'IA « frugale »",
    url="https://silicon.fr/afnor-ia-frugale-481399.html",
    by="Silicon",
)
SILICON_SIX = Reference(
    title="IA frugale : 6 bonnes pratiques « secondaires » du référentiel AFNOR (20 October 2025)",
    url="https://freshrss.sebw.info/p/i/?search=%23Afnor",
    by="a reader's copy of the article",
)
VEILLE = Reference(
    title="L'AFNOR lance un guide pour évaluer et diminuer l'empreinte écologique de "
    "l'intelligence artificielle",
    url="https://veillemag.com/L-AFNOR-lance-un-guide-pour-evaluer-et-diminuer-l-empreinte-"
    "ecologique-de-l-intelligence-artificielle_a5088.html",
    by="Veille Magazine",
)
DIGITAL_LEAGUE = Reference(
    title="Evaluez l'impact environnemental de l'I.A. avec les Spec AFNOR 2314",
    url="https://erp.digital-league.org/blog/actus-1/"
    "evaluez-l-impact-environnemental-de-l-i-a-avec-les-spec-afnor-2314-289",
    by="Digital League",
)
ECOLLM = Reference(
    title="Comprendre la Bonne Pratique BP 26 du référentiel RGIAF",
    url="https://www.ecollm.fr/?p=1225",
    by="EcoLLM",
)
EMBARQUE = Reference(
    title="L'Afnor publie un document de référence sur l'IA frugale",
    url="https://lembarque.com/dispatch-article/"
    "lafnor-publie-un-document-de-reference-sur-lia-frugale",
    by="L'Embarqué",
)
CHANNEL = Reference(
    title="Un référentiel Afnor pour une IA frugale",
    url="https://www.channelnews.fr/un-referentiel-afnor-pour-une-ia-frugale-138408",
    by="ChannelNews",
)
TAVERNE = Reference(
    title="Référentiel général pour l'IA frugale de l'AFNOR: un référentiel mais aussi une "
    "démarche!",
    url="https://latavernedutesteur.fr/2025/01/06/"
    "referentiel-general-pour-lia-frugale-de-lafnor-un-referentiel-mais-aussi-une-demarche/",
    by="La taverne du testeur",
)
JAIR = Reference(
    title="Tornede et al., Towards Green Automated Machine Learning: Status Quo and Future "
    "Directions, JAIR 2023 (abstract)",
    url="https://jair.org/index.php/jair/article/view/14340",
    by="Journal of Artificial Intelligence Research",
)
GREEN_AUTOML = Reference(
    title="Green AutoML",
    url="https://www.automl.org/green-automl",
    by="automl.org",
)
