"""Write playground.json: what TensorFlow Playground's own generators make of Python's random numbers.

Run as `python make_playground_reference.py dataset.js`, where `dataset.js` is Playground's `src/dataset.ts` put through
TypeScript (`npx -p typescript tsc --target es2020 --module es2020 dataset.ts`); node must be on the path. In place of
`Math.random` stands `random.Random(seed).random()`, and in place of d3 its linear scale, all that is used of it.
"""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

SEED, SAMPLES, NOISES = 7, 24, (0.0, 0.25)
GENERATORS = {
    "circle": "classifyCircleData",
    "xor": "classifyXORData",
    "gauss": "classifyTwoGaussData",
    "spiral": "classifySpiralData",
    "regression_plane": "regressPlane",
    "regression_gauss": "regressGaussian",
}
SCRIPT = """
const linear = () => {
  let d = [0, 1], r = [0, 1], clamped = false;
  const scale = x => {
    let t = (x - d[0]) / (d[1] - d[0]);
    if (clamped) t = Math.max(0, Math.min(1, t));
    return r[0] * (1 - t) + r[1] * t;
  };
  scale.domain = a => (d = a, scale);
  scale.range = a => (r = a, scale);
  scale.clamp = a => (clamped = a, scale);
  return scale;
};
globalThis.d3 = {scale: {linear}};
const stream = STREAM;
let next = 0;
Math.random = () => stream[next++];
const result = {};
for (const [name, generator] of Object.entries(GENERATORS))
  result[name] = NOISES.map(noise => {
    next = 0;
    const points = eval(generator)(SAMPLES, noise);
    shuffle(points);
    return points.map(p => [p.x, p.y, p.label]);
  });
console.log(JSON.stringify(result));
"""


def main() -> None:
    random = Random(SEED)
    stream = [random.random() for _ in range(2000)]
    source = Path(sys.argv[1]).read_text().replace("export ", "")
    script = SCRIPT
    for name, value in (("STREAM", stream), ("GENERATORS", GENERATORS), ("NOISES", NOISES), ("SAMPLES", SAMPLES)):
        script = script.replace(name, json.dumps(value))
    done = subprocess.run(
        ["node", "--input-type=module"], input=source + script, text=True, capture_output=True, check=True
    )
    content = {"seed": SEED, "samples": SAMPLES, "noises": NOISES, "sets": json.loads(done.stdout)}
    Path(__file__).with_name("playground.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
