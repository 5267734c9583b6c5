"""GLSL 3.30 sources of the renderer. Positions are world units, colours linear."""

from __future__ import annotations

from engine.training.heads.world import CLIP_HEIGHT, CLIP_RADIUS

_CLIP = f"""
bool outside(vec3 p) {{
  return length(p.xz) > {CLIP_RADIUS} || abs(p.y) > {CLIP_HEIGHT};
}}
// Whether the ray to p enters the clipped space low enough to have cut through the bust, and
// where. The inner side of a surface that is seen through such a cut is drawn as a solid cap.
bool cut_open(vec3 p, out vec3 cap_point) {{
  vec3 d = normalize(p - eye);
  float a = dot(d.xz, d.xz), b = dot(eye.xz, d.xz);
  float c = dot(eye.xz, eye.xz) - {CLIP_RADIUS * CLIP_RADIUS};
  float t = (-b - sqrt(max(b * b - a * c, 0.0))) / a;
  if (d.y > 0.0) t = max(t, ({-CLIP_HEIGHT} - eye.y) / d.y);
  cap_point = eye + d * t;
  return cap_point.y < -0.34;
}}
"""

VERTEX = """#version 330
uniform mat4 view_projection;
in vec3 position; in vec3 normal; in vec2 uv; in vec4 mask; in vec3 irradiance; in vec3 visibility;
out vec3 P; out vec3 N; out vec2 T; out vec4 M; out vec3 I; out vec3 S;
void main() {
  P = position; N = normal; T = uv; M = mask; I = irradiance; S = visibility;
  gl_Position = view_projection * vec4(position, 1.0);
}
"""

_NOISE = """
float hash(vec2 p) { return fract(sin(dot(p, vec2(127.1, 311.7))) * 43758.5453); }
float cell_noise(vec2 p) {
  vec2 i = floor(p), f = fract(p);
  f = f * f * (3.0 - 2.0 * f);
  return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x),
             mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
// Noise that fades to its mean where a pixel covers more than a cell.
float calm2(vec2 p) {
  float cell = max(length(dFdx(p)), length(dFdy(p)));
  return mix(cell_noise(p), 0.5, smoothstep(0.35, 1.1, cell));
}
"""

_HAIR_ALPHA = """
float hair_alpha() { return smoothstep(0.12, 0.72, texture(picture, T).a); }
float shell_alpha() {
  float s = calm2(T * knobs.w) * 0.6 + calm2(T * knobs.w * 2.03 + 7.0) * 0.4;
  // Single stubs would be finer than what a picture can tell: a hint of them only.
  s = mix(0.5, s, 0.5);
  float threshold = mix(0.22, 0.72, knobs.x) + (1.0 - smoothstep(0.0, 1.0, M.y)) * 0.95;
  return smoothstep(threshold - 0.26, threshold + 0.26, s * knobs.y) * 0.6;
}
"""

FRAGMENT = (
    """#version 330
in vec3 P; in vec3 N; in vec2 T; in vec4 M; in vec3 I; in vec3 S;
uniform vec3 eye; uniform int material; uniform int fringe; uniform sampler2D picture;
uniform vec3 tone; uniform vec3 texture_mean; uniform vec3 ink; uniform vec3 ink2; uniform vec3 cap;
uniform vec4 knobs; uniform vec4 knobs2;
uniform vec3 lamp[3]; uniform vec3 lamp_color[3]; uniform float lamp_size[3];
uniform vec3 sky; uniform vec3 ground; uniform vec3 eye_center[2]; uniform vec3 eye_axis[2];
layout(location = 0) out vec4 color;
"""
    + _CLIP
    + _NOISE
    + _HAIR_ALPHA
    + """
vec3 to_linear(vec3 c) { return pow(c, vec3(2.2)); }
// Straight up to 0.55, then a shoulder that never reaches white abruptly; then gamma.
vec3 develop(vec3 c) {
  c = max(c, 0.0);
  vec3 soft = vec3(0.55) + 0.45 * (1.0 - exp(-(c - 0.55) / 0.45));
  return pow(clamp(mix(c, soft, step(0.55, c)), 0.0, 1.0), vec3(1.0 / 2.2));
}
vec3 ambient(vec3 d) { return mix(ground, sky, smoothstep(-1.0, 1.0, d.y)); }
float ggx(float nh, float a) {
  float a2 = a * a, d = nh * nh * (a2 - 1.0) + 1.0;
  return a2 / (3.14159 * d * d);
}
vec3 specular(vec3 n, vec3 v, float rough, float f0) {
  vec3 sum = vec3(0.0);
  float nv = max(dot(n, v), 0.05);
  for (int i = 0; i < 3; i++) {
    vec3 l = lamp[i], h = normalize(l + v);
    float nl = max(dot(n, l), 0.0), a = clamp(rough * rough + lamp_size[i] * 0.35, 0.01, 1.0);
    float f = f0 + (1.0 - f0) * pow(1.0 - max(dot(v, h), 0.0), 5.0), k = a * 0.5 + 0.1;
    float g = 1.0 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k));
    sum += lamp_color[i] * S[i] * nl * ggx(max(dot(n, h), 0.0), a) * f * g * 0.25;
  }
  return sum;
}

// knobs: scalp paint, stubble, -, blush and lip colour; knobs2: lipstick colour and amount.
vec3 shade_skin(vec3 n, vec3 v) {
  vec3 ratio = to_linear(texture(picture, T).rgb) / texture_mean;
  // The picture's shades of grey are kept, its own tone and the strongest contrasts are not.
  ratio = mix(vec3(1.0), ratio, 0.9);
  float level = dot(ratio, vec3(0.333));
  vec3 skin = tone * ratio;
  vec3 plain = tone * mix(vec3(0.96), ratio / max(level, 0.05) * 0.95, 0.12);
  float roots = clamp((1.0 - level) * 1.6, 0.0, 1.0);
  vec3 scalp = mix(plain, ink * 0.8 + tone * 0.12, clamp(knobs.x * (0.55 + 0.45 * roots), 0.0, 0.97));
  skin = mix(skin, scalp, M.z);
  skin = mix(skin, ink2 * 0.7 + tone * 0.16, clamp(M.y * knobs.y, 0.0, 0.92));
  skin = mix(skin, tone * vec3(1.0, 0.70, 0.68) * (0.6 + 0.45 * level), M.x * knobs.w * 0.7);
  skin = mix(skin, knobs2.xyz * (0.6 + 0.4 * level), M.x * knobs2.w);
  skin = mix(skin, skin * vec3(1.12, 0.86, 0.84), M.w * knobs.w);
  float rim = pow(1.0 - max(dot(n, v), 0.0), 4.0);
  float open = clamp(dot(I, vec3(0.33)) / max(dot(sky, vec3(0.4)), 0.01), 0.0, 1.0);
  vec3 shine = specular(n, v, mix(0.47, 0.34, M.x), 0.028)
             * (1.0 - 0.75 * M.z * knobs.x) * (1.0 - 0.6 * M.y * knobs.y)
             + specular(n, v, 0.30, 0.010);
  return skin * I + shine + ambient(reflect(-v, n)) * open * (0.010 + 0.10 * rim);
}

// Kajiya and Kay's two lobes along the strand direction that the texture stores.
vec3 shade_hair(vec3 n, vec3 v) {
  vec4 h = texture(picture, T);
  float level = min(pow(h.r, 2.2) / knobs.x, 2.0);
  vec2 tx = dFdx(T), ty = dFdy(T);
  vec3 px = dFdx(P), py = dFdy(P);
  float hand = tx.x * ty.y - tx.y * ty.x < 0.0 ? -1.0 : 1.0;
  vec3 u_axis = normalize((px * ty.y - py * tx.y) * hand + 1e-12);
  vec3 v_axis = normalize((py * tx.x - px * ty.x) * hand + 1e-12);
  float angle = 0.5 * atan((h.b * 255.0 - 128.0) / 127.0, (h.g * 255.0 - 128.0) / 127.0);
  vec3 strand = normalize(cos(angle) * u_axis - sin(angle) * v_axis);
  if (!gl_FrontFacing) n = -n;
  if (dot(n, v) < 0.0) n = normalize(n + v * 0.5);
  strand = normalize(strand - n * dot(strand, n) + 1e-6);
  vec3 base = ink * mix(1.0, level, 0.5) * mix(0.86, 1.14, calm2(T * vec2(60.0, 9.0)));
  vec3 shine = vec3(0.0);
  for (int i = 0; i < 3; i++) {
    vec3 half_way = normalize(lamp[i] + v);
    float shift = 0.08 * (level - 1.0);
    float d1 = dot(normalize(strand + n * (shift - 0.10)), half_way);
    float d2 = dot(normalize(strand + n * (shift + 0.14)), half_way);
    float s1 = pow(max(1.0 - d1 * d1, 0.0), knobs.y * 0.5);
    float s2 = pow(max(1.0 - d2 * d2, 0.0), knobs.y * 0.18);
    shine += lamp_color[i] * S[i] * smoothstep(-0.25, 0.6, dot(n, lamp[i]))
           * (s1 * 0.04 + s2 * 0.26 * base) * mix(0.7, 1.0, clamp(level, 0.0, 1.5));
  }
  return base * I + shine * knobs.z;
}

// knobs: brightness of the white, of the iris; ink2 tints the iris.
vec3 shade_eye(vec3 v) {
  int k = P.x > 0.0 ? 0 : 1;
  vec3 e = normalize(P - eye_center[k]), t = to_linear(texture(picture, T).rgb);
  float angle = acos(clamp(dot(e, eye_axis[k]), -1.0, 1.0));
  vec3 n = normalize(mix(e, normalize(e + 0.55 * eye_axis[k]), smoothstep(0.62, 0.42, angle)));
  vec3 white = mix(vec3(0.84, 0.78, 0.74), t, 0.45) * knobs.x;
  vec3 c = mix(t * knobs.y * ink2, white, smoothstep(0.50, 0.60, angle)) * I;
  vec3 r = reflect(-v, n);
  for (int i = 0; i < 3; i++)
    c += lamp_color[i] * S[i] * 0.55
       * smoothstep(1.0 - 0.045 * (1.0 + lamp_size[i] * 3.0), 0.988, max(dot(r, lamp[i]), 0.0));
  float f = 0.02 + 0.98 * pow(1.0 - max(dot(n, v), 0.0), 5.0);
  return c + ambient(r) * min(f, 0.25) * 0.5 * clamp(dot(I, vec3(1.0)), 0.0, 1.0);
}

void main() {
  if (outside(P)) discard;
  if (!gl_FrontFacing && (material == 0 || material == 5)) {
    vec3 q;
    if (cut_open(P, q)) { color = vec4(develop(cap), 1.0); return; }
    if (material == 0) discard;
  }
  vec3 v = normalize(eye - P), n = normalize(N), c = vec3(0.0);
  float a = 1.0;
  if (material == 0) c = shade_skin(n, v);
  else if (material == 1) {
    // Solid where the strands are dense; the thin ends are blended in a second pass.
    a = hair_alpha() / 0.6;
    if (fringe == 0 ? a < 1.0 : (a >= 1.0 || a < 0.02)) discard;
    a = min(a, 1.0);
    c = shade_hair(n, v);
  } else if (material == 2) c = shade_eye(v);
  else if (material == 3) {
    a = texture(picture, T).r * knobs.x;
    c = ink * I + ink * 0.02;
  } else if (material == 4) {
    c = to_linear(texture(picture, T).rgb) * tone * I * knobs.x + specular(n, v, 0.3, 0.04) * 0.8;
  } else if (material == 5) {
    vec3 t = to_linear(texture(picture, T).rgb);
    float level = dot(t, vec3(0.3, 0.5, 0.2));
    if (!gl_FrontFacing) n = -n;
    // knobs.z: contrast of the texture. M.x runs from 1 to 2 across the band of a hat.
    vec3 dye = mix(ink, ink2, smoothstep(0.96, 1.04, M.x) * smoothstep(2.04, 1.96, M.x));
    c = mix(t, dye * clamp(pow(level / knobs.x, knobs.z), 0.25, 2.2), knobs.y) * I;
    c += ambient(n) * 0.03 * pow(1.0 - abs(dot(n, v)), 3.0) * I;
  } else if (material == 6) {
    if (!gl_FrontFacing) n = -n;
    c = ink * I + specular(n, v, knobs.x, knobs.y)
      + ambient(reflect(-v, n)) * knobs.y * 0.6 * clamp(dot(I, vec3(1.0)), 0.0, 1.0);
  } else if (material == 7) {
    if (dot(n, v) < 0.0) n = -n;
    vec3 r = reflect(-v, n);
    float s = 0.0;
    for (int i = 0; i < 3; i++)
      s += smoothstep(0.975, 0.995, dot(r, lamp[i])) * dot(lamp_color[i], vec3(0.333));
    a = knobs.x + clamp(s * 0.15, 0.0, 0.2);
    c = mix(ink * 0.35, vec3(1.0), clamp(s, 0.0, 1.0) * 0.8);
  } else {
    a = M.y < 0.02 ? 0.0 : shell_alpha();
    float s = calm2(T * knobs.w) * 0.6 + calm2(T * knobs.w * 2.03 + 7.0) * 0.4;
    vec3 base = ink * mix(0.65, 1.15, knobs.x) * (0.8 + 0.4 * s), shine = vec3(0.0);
    for (int i = 0; i < 3; i++)
      shine += lamp_color[i] * S[i] * pow(max(dot(n, normalize(lamp[i] + v)), 0.0), 12.0) * 0.03;
    c = base * I + shine * (0.3 + base * 2.0);
  }
  if (a < 0.004) discard;
  color = vec4(develop(c) * a, a);
}
"""
)

# Distance from the camera and label; labels = (own, lips, beard, scalp).
AUX_VERTEX = """#version 330
uniform mat4 view_projection;
in vec3 position; in vec2 uv; in vec4 mask;
out vec3 P; out vec2 T; out vec4 M;
void main() { P = position; T = uv; M = mask; gl_Position = view_projection * vec4(position, 1.0); }
"""
AUX_FRAGMENT = (
    """#version 330
#define CLOTH_LABEL 6.0
in vec3 P; in vec2 T; in vec4 M;
uniform vec3 eye; uniform int material; uniform sampler2D picture;
uniform vec4 knobs; uniform vec4 labels;
layout(location = 0) out vec2 distance_label;
"""
    + _CLIP
    + _NOISE
    + _HAIR_ALPHA
    + """
void main() {
  if (outside(P)) discard;
  if (!gl_FrontFacing && (material == 0 || material == 5)) {
    vec3 q;
    if (cut_open(P, q)) { distance_label = vec2(length(eye - q), CLOTH_LABEL); return; }
    if (material == 0) discard;
  }
  if (material == 1 && hair_alpha() < 0.3) discard;
  if (material == 3 && texture(picture, T).r * knobs.x < 0.4) discard;
  if (material == 8 && shell_alpha() < 0.33) discard;
  float label = labels.x;
  if (material == 0) {
    if (M.z > 0.5) label = labels.w;
    if (M.y > 0.5) label = labels.z;
    if (M.x > 0.5) label = labels.y;
  }
  distance_label = vec2(length(eye - P), label);
}
"""
)

# Depth maps of the light directions, tiles of one atlas.
CASTER_VERTEX = """#version 330
uniform vec4 light_rows[3];
in vec3 position; in vec2 uv;
out vec2 T;
void main() {
  vec4 p = vec4(position, 1.0);
  T = uv;
  gl_Position = vec4(dot(light_rows[0], p), dot(light_rows[1], p), dot(light_rows[2], p), 1.0);
}
"""
CASTER_FRAGMENT = """#version 330
in vec2 T;
uniform int cut_out; uniform sampler2D picture;
void main() { if (cut_out == 1 && texture(picture, T).a < 0.5) discard; }
"""


def bake_vertex(directions: int, columns: int, tile: int, depth_range: float) -> str:
    """The light gathered by every vertex, captured by transform feedback.

    Args:
        directions: number of light directions. columns: tiles in a row of the atlas.
        tile: side of a tile in texels. depth_range: world units between near and far.
    """
    return f"""#version 330
const int K = {directions}, COLUMNS = {columns}, TILE = {tile};
const float RANGE = {depth_range:.6f};
uniform vec4 rows[3 * K]; uniform vec3 radiance[K]; uniform vec3 share[K];
uniform sampler2D atlas;
uniform vec3 wrap; uniform vec3 gain; uniform vec3 extra;
uniform float bias; uniform float softness; uniform float lift;
in vec3 position; in vec3 normal;
out vec3 irradiance; out vec3 visibility;
float lit(ivec2 texel, float depth) {{
  float behind = depth - texelFetch(atlas, texel, 0).r * RANGE - bias;
  return 1.0 - clamp(behind / softness, 0.0, 1.0);
}}
void main() {{
  vec4 p = vec4(position + normal * lift, 1.0);
  irradiance = extra; visibility = vec3(0.0);
  for (int k = 0; k < K; k++) {{
    vec3 q = vec3(dot(rows[3 * k], p), dot(rows[3 * k + 1], p), dot(rows[3 * k + 2], p));
    vec2 at = clamp((q.xy * 0.5 + 0.5) * float(TILE) - 0.5, vec2(0.0), vec2(float(TILE) - 1.001));
    ivec2 i = ivec2(at), base = i + TILE * ivec2(k % COLUMNS, k / COLUMNS);
    vec2 f = at - vec2(i);
    float depth = (q.z * 0.5 + 0.5) * RANGE;
    float v = mix(mix(lit(base, depth), lit(base + ivec2(1, 0), depth), f.x),
                  mix(lit(base + ivec2(0, 1), depth), lit(base + ivec2(1, 1), depth), f.x), f.y);
    float cosine = dot(normal, -normalize(rows[3 * k + 2].xyz));
    irradiance += radiance[k] * v * max((vec3(cosine) + wrap) * gain, 0.0);
    visibility += share[k] * v;
  }}
}}
"""


# The mean of every block of supersamples.
RESOLVE_VERTEX = """#version 330
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}
"""
RESOLVE_FRAGMENT = """#version 330
uniform sampler2D picture; uniform int factor; uniform ivec2 corner;
layout(location = 0) out vec4 color;
void main() {
  ivec2 base = (ivec2(gl_FragCoord.xy) - corner) * factor;
  vec4 sum = vec4(0.0);
  for (int y = 0; y < factor; y++)
    for (int x = 0; x < factor; x++) sum += texelFetch(picture, base + ivec2(x, y), 0);
  color = sum / float(factor * factor);
}
"""
