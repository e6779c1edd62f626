"""The violation categories of the OHCHR Commission of Inquiry on Syria, as the archive's first list."""

from django.db import migrations

CATEGORIES = [
    (
        "unlawful-killing",
        "Massacres and other unlawful killing",
        "المجازر وغيرها من عمليات القتل غير المشروع",
        "Massacres et autres homicides illicites",
    ),
    (
        "arbitrary-detention",
        "Arbitrary arrest and unlawful detention",
        "الاعتقال التعسفي والاحتجاز غير القانوني",
        "Arrestations arbitraires et détentions illégales",
    ),
    ("hostage-taking", "Hostage-taking", "أخذ الرهائن", "Prise d’otages"),
    ("enforced-disappearance", "Enforced disappearance", "الاختفاء القسري", "Disparition forcée"),
    ("torture", "Torture and ill-treatment", "التعذيب وسوء المعاملة", "Torture et mauvais traitements"),
    (
        "sexual-violence",
        "Sexual and gender-based violence",
        "العنف الجنسي والعنف القائم على النوع الاجتماعي",
        "Violences sexuelles et fondées sur le genre",
    ),
    (
        "children",
        "Violations of children’s rights",
        "انتهاكات حقوق الطفل",
        "Violations des droits de l’enfant",
    ),
    ("unlawful-attacks", "Unlawful attacks", "الهجمات غير المشروعة", "Attaques illicites"),
    (
        "protected-persons-objects",
        "Attacks on specifically protected persons and objects",
        "الهجمات على الأشخاص والأعيان المشمولين بحماية خاصة",
        "Attaques contre des personnes et des biens spécialement protégés",
    ),
    ("illegal-weapons", "Use of illegal weapons", "استخدام أسلحة غير مشروعة", "Emploi d’armes illicites"),
    (
        "sieges-economic-social-rights",
        "Sieges and violations of economic and social rights",
        "الحصار وانتهاكات الحقوق الاقتصادية والاجتماعية",
        "Sièges et violations des droits économiques et sociaux",
    ),
    (
        "forcible-displacement",
        "Arbitrary and forcible displacement",
        "التهجير التعسفي والقسري",
        "Déplacements arbitraires et forcés",
    ),
]


def fill(apps, schema_editor):
    category = apps.get_model("incidents", "ViolationCategory")
    category.objects.bulk_create(
        category(code=code, name_en=english, name_ar=arabic, name_fr=french, order=order)
        for order, (code, english, arabic, french) in enumerate(CATEGORIES, start=1)
    )


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
