"""Old fingerprints -> new ones: names of classes changed, what is computed did not."""

import json, pathlib
from mnist_lib.data import FOLD_RULE
from mnist_lib.engine.fingerprint import short_hash
from mnist_lib.experiments import all_recipes

R = pathlib.Path("results")
recipes = {r.name: r for r in all_recipes()}
mapping = {}
proofs = 0
texts = {}
for path in sorted(R.glob("[rv]*/*/seed-*.json")):
    rec = json.loads(path.read_text())
    r = recipes[rec["recipe"]]
    new = r.fingerprint()
    old = rec["fingerprint"]
    before = {k: v for k, v in rec["settings"].items() if k != "network"}
    # the old settings with the operations of today's network give the old hash: the network computes the same
    same = short_hash([before, r.operations, FOLD_RULE]) == old
    if not same:
        print("NOT PROVEN", path, old, new)
        continue
    proofs += 1
    after = {k: v for k, v in r.settings().items() if k != "network"}
    if before != after:
        texts.setdefault((json.dumps(before), json.dumps(after)), set()).add(r.name)
    mapping.setdefault(old, set()).add(new)
    if rec["settings"] != r.settings() or old != new:
        rec["settings"] = r.settings()
        rec["fingerprint"] = new
        path.write_text(json.dumps(rec, indent=1) + "\n")
assert all(len(v) == 1 for v in mapping.values())
new = [next(iter(v)) for v in mapping.values()]
assert len(set(new)) == len(new), "not one to one"
changed = {o: next(iter(n)) for o, n in mapping.items() if {o} != n}
print(
    proofs, "records proven;", len(mapping), "fingerprints map one to one;", len(changed), "changed"
)
for (b, a), names in texts.items():
    b, a = json.loads(b), json.loads(a)
    print(sorted(names), {k: (b.get(k), a.get(k)) for k in {*b, *a} if b.get(k) != a.get(k)})
for file in ("registered.json", "to-target-cpu.json"):
    t = (R / file).read_text()
    for o, n in changed.items():
        if o in t:
            print(file, o, "->", n)
            t = t.replace(o, n)
    (R / file).write_text(t)
reg = json.loads((R / "registered.json").read_text())
for e in reg:
    r = recipes.get(e["recipe"])
    if r and r.fingerprint() == e["fingerprint"] and e["settings"] != r.settings():
        print(
            "settings of registration",
            e["recipe"],
            {
                k: (e["settings"].get(k), r.settings().get(k))
                for k in {*e["settings"], *r.settings()}
                if e["settings"].get(k) != r.settings().get(k)
            },
        )
        e["settings"] = r.settings()
(R / "registered.json").write_text(json.dumps(reg, indent=1) + "\n")
json.dump(changed, open("/work/spec/changed.json", "w"), indent=1)
